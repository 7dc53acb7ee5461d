// Package parser compiles Lua 5.1 source text: a lexer and a recursive-descent parser with Lua 5.1's grammar, limits and
// error texts build gopher-lua's syntax tree, and the module's compiler compiles this tree.
//
// The tree differs from that of the module's own parser. The compiler finds variables by name, and confuses some that share a
// name; so this parser resolves names and gives each local variable a unique one. An assignment to several targets uses
// temporaries, since the compiler would store the first value before it reads the second. Constants are folded as in Lua 5.1.
//
// The reference is Lua 5.1.5's behaviour as seen in redis-server.
package parser

import (
	"ferrous/lua/internal/libm"
	"fmt"
	"math"
	"strconv"
	"strings"

	lua "github.com/yuin/gopher-lua"
	"github.com/yuin/gopher-lua/ast"
)

// Limits of Lua 5.1, and of the compiler.
const (
	maxLevels   = 200
	maxLocals   = 200
	maxUpvalues = 60
	// fewConstants is the number of distinct constants of a function up to which the compiler, which searches them one by
	// one, finds them itself. maxNames is the limit of constants that it always finds itself (names of globals and methods),
	// maxConstants the limit of all.
	fewConstants = 256
	maxNames     = 8000
	maxConstants = 1 << 17
	// maxChain is the limit of chains of operators and calls, which the compiler visits by recursion; maxElseifs is that of
	// chains of elseif, since for each the compiler visits all blocks around it.
	maxChain   = 20000
	maxElseifs = 4000
	// maxItems is the limit of list items of a constructor.
	maxItems = 1 << 26
	// manyArguments is the number of arguments up to which a call never passes them in a table.
	manyArguments = 50
	// foldChain is the length of a chain of arithmetic from which on the compiler is kept from searching it for constants.
	foldChain = 100
)

// infoShift is the first bit of an expression's number in the line of its node: the compiler copies lines to the
// instructions, so that each instruction can be traced to its expression.
const infoShift = 32

const (
	lineMask = 1<<infoShift - 1
	// constantMark is set in the line of a "true" that stands for a constant, which describe puts in its place.
	constantMark = 1 << 60
)

type variable struct {
	name, unique string
}

type function struct {
	parent    *function
	main      bool
	vararg    bool
	line      int
	locals    []variable
	upvalues  map[string]bool
	constants map[string]bool
	names     int
	loops     int
}

type parser struct {
	lexer
	tok, ahead token
	hasAhead   bool
	fn         *function
	levels     int
	unique     int
	// info has the names of the numbered expressions: operands separated by \x01, kind and name by \x00.
	info []string
	// values are the constants that "true" stands for.
	values []lua.LValue
	// spread is the function that takes long lists of arguments out of tables (see passed); nil if they are passed directly.
	spread lua.LValue
	full   bool // the code needs more registers than there are
}

// Compile compiles src and, if more is not nil, the pieces that more returns. source becomes the SourceName of the code,
// chunk is the name in front of the line in error texts, levels is the present nesting of the caller, number converts
// numerals. spread is a function that returns the first n items of its first argument, n being the second one, and behind
// them its further arguments. The error is an *Error.
//
// A function of Lua 5.1 has 250 registers, one of the compiler 200. A program that needs more is compiled again with its long
// lists of arguments in tables, so that a call needs registers for 50 at most.
func Compile(src string, more func() string, source, chunk string, levels int, number func(string) (float64, bool),
	spread lua.LValue) (proto *lua.FunctionProto, err error) {
	for _, spread := range [...]lua.LValue{nil, spread} {
		p := &parser{levels: levels, info: []string{""}, spread: spread}
		p.src, p.more, p.chunk, p.line, p.lastLine, p.lexer.number = src, more, chunk, 1, 1, number
		p.fn = &function{main: true, vararg: true}
		proto, err = p.compile(source)
		if !p.full || more != nil { // pieces cannot be read again
			break
		}
	}
	return proto, err
}

func (p *parser) compile(source string) (proto *lua.FunctionProto, err error) {
	defer func() {
		if r := recover(); r != nil {
			if e, ok := r.(*Error); ok {
				proto, err = nil, e
				return
			}
			panic(r)
		}
	}()
	p.lexer.next()
	p.advance()
	body := p.block()
	p.check(tkEOF)
	proto = p.generate(body, source)
	p.describe(proto)
	proto.IsVarArg = lua.VarArgIsVarArg
	return proto, nil
}

// generate runs the module's compiler.
func (p *parser) generate(body []ast.Stmt, source string) *lua.FunctionProto {
	defer func() {
		if r := recover(); r != nil {
			p.tooComplex()
		}
	}()
	proto, err := lua.Compile(body, source)
	if err != nil {
		p.full = true
		p.tooComplex()
	}
	return proto
}

func (p *parser) tooComplex() { p.fail("function or expression too complex", p.tok.kind) }

// Tokens.

func (p *parser) advance() {
	p.lastLine = p.line
	if p.hasAhead {
		p.tok, p.hasAhead = p.ahead, false
		return
	}
	p.tok = p.lex()
}

func (p *parser) peek() int {
	p.ahead = p.lex()
	p.hasAhead = true
	return p.ahead.kind
}

func (p *parser) syntaxError(text string) { p.fail(text, p.tok.kind) }

func (p *parser) expected(kind int) { p.syntaxError("'" + tokenText(kind) + "' expected") }

func (p *parser) accept(kind int) bool {
	if p.tok.kind == kind {
		p.advance()
		return true
	}
	return false
}

func (p *parser) check(kind int) {
	if p.tok.kind != kind {
		p.expected(kind)
	}
}

func (p *parser) expect(kind int) {
	p.check(kind)
	p.advance()
}

// match expects the token that closes opener, which is on the given line.
func (p *parser) match(kind, opener, line int) {
	if p.accept(kind) {
		return
	}
	if line == p.line {
		p.expected(kind)
	}
	p.syntaxError(fmt.Sprintf("'%s' expected (to close '%s' at line %d)", tokenText(kind), tokenText(opener), line))
}

func (p *parser) name() string {
	p.check(tkName)
	s := p.tok.text
	p.advance()
	return s
}

func (p *parser) enter() {
	if p.levels++; p.levels > maxLevels {
		p.fail("chunk has too many syntax levels", noToken)
	}
}

func (p *parser) leave() { p.levels-- }

func (p *parser) limit(n, limit int, what string) {
	if n <= limit {
		return
	}
	if p.fn.line == 0 {
		p.fail(fmt.Sprintf("main function has more than %d %s", limit, what), noToken)
	}
	p.fail(fmt.Sprintf("function at line %d has more than %d %s", p.fn.line, limit, what), noToken)
}

// Variables.

// declare makes a local variable visible and returns its name for the compiler.
func (p *parser) declare(name string) string {
	p.unique++
	v := variable{name, name + "\x00" + strconv.Itoa(p.unique)}
	p.fn.locals = append(p.fn.locals, v)
	return v.unique
}

// hidden adds local variables without a name in the program.
func (p *parser) hidden(n int) {
	for range n {
		p.fn.locals = append(p.fn.locals, variable{})
	}
}

func (p *parser) checkLocals(more int) {
	p.limit(len(p.fn.locals)+more, maxLocals, "local variables")
}

func (f *function) local(name string) (string, bool) {
	for i := len(f.locals) - 1; i >= 0; i-- {
		if f.locals[i].name == name {
			return f.locals[i].unique, true
		}
	}
	return "", false
}

// resolve returns the kind of a name ("local", "upvalue" or "global") and its name for the compiler.
func (p *parser) resolve(name string) (kind, unique string) {
	if u, ok := p.fn.local(name); ok {
		return "local", u
	}
	for f := p.fn.parent; f != nil; f = f.parent {
		u, ok := f.local(name)
		if !ok {
			continue
		}
		for g := p.fn; g != f; g = g.parent {
			if !g.upvalues[u] {
				if g.upvalues == nil {
					g.upvalues = make(map[string]bool)
				}
				g.upvalues[u] = true
				if g == p.fn {
					p.limit(len(g.upvalues), maxUpvalues, "upvalues")
				} else if len(g.upvalues) > maxUpvalues {
					p.fail(fmt.Sprintf("function at line %d has more than %d upvalues", g.line, maxUpvalues), noToken)
				}
			}
		}
		return "upvalue", u
	}
	p.nameConstant(name)
	return "global", name
}

// constant counts a constant of the function.
func (p *parser) constant(key string) {
	c := p.fn.constants
	if c[key] {
		return
	}
	if c == nil {
		c = make(map[string]bool)
		p.fn.constants = c
	}
	c[key] = true
	if len(c) > maxConstants {
		p.fail("constant table overflow", noToken)
	}
}

// nameConstant counts a constant that the compiler must find by itself.
func (p *parser) nameConstant(name string) {
	if key := "g" + name; !p.fn.constants[key] {
		p.constant(key)
		if p.fn.names++; p.fn.names > maxNames {
			p.fail("constant table overflow", noToken)
		}
	}
}

// Nodes.

func at[N ast.PositionHolder](n N, line int) N {
	n.SetLine(line)
	n.SetLastLine(line)
	return n
}

// called gives n a line and a number; info has the names of its operands under this number.
func (p *parser) called(n ast.PositionHolder, line int, names ...string) {
	for len(names) > 0 && names[len(names)-1] == "" {
		names = names[:len(names)-1]
	}
	if len(names) > 0 {
		p.info = append(p.info, strings.Join(names, "\x01"))
		line |= (len(p.info) - 1) << infoShift
	}
	n.SetLine(line)
	n.SetLastLine(line)
}

// describeExpr returns the name of e for error texts, kind and name separated by \x00, or "".
func describeExpr(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.IdentExpr:
		name, _, local := strings.Cut(e.Value, "\x00")
		if !local {
			return "global\x00" + name
		}
		return "local\x00" + name
	case *upvalueExpr:
		return "upvalue\x00" + e.name
	case *ast.AttrGetExpr:
		if k, ok := e.Key.(*ast.StringExpr); ok {
			return "field\x00" + cutZero(k.Value)
		}
		return "field\x00?"
	case *parenthesized:
		return describeExpr(e.Expr)
	}
	return ""
}

func cutZero(s string) string {
	s, _, _ = strings.Cut(s, "\x00")
	return s
}

// upvalueExpr marks an identifier as an upvalue until the parser uses the expression. The compiler never gets one.
type upvalueExpr struct {
	ast.IdentExpr
	name string
}

// known replaces expressions that the compiler does not know.
func known(e ast.Expr) ast.Expr {
	switch x := e.(type) {
	case *upvalueExpr:
		return &x.IdentExpr
	case *parenthesized:
		return known(x.Expr)
	}
	return e
}

// plain is known, and in a function with many constants it also replaces a constant by a marked "true". It must not be used
// for operands of and, or, not, which the compiler evaluates.
func (p *parser) plain(e ast.Expr) ast.Expr {
	if len(p.fn.constants) <= fewConstants {
		return known(e)
	}
	var v lua.LValue
	switch x := e.(type) {
	case *ast.StringExpr:
		v = lua.LString(x.Value)
	case *ast.NumberExpr:
		f, _ := constantNumber(x)
		v = lua.LNumber(f)
	default:
		return known(e)
	}
	p.values = append(p.values, v)
	return at(&ast.TrueExpr{}, e.Line()&lineMask|(len(p.values)-1)<<infoShift|constantMark)
}

func (p *parser) variable(name string) ast.Expr {
	kind, unique := p.resolve(name)
	if kind == "upvalue" {
		e := &upvalueExpr{name: name}
		e.Value = unique
		return at(e, p.line)
	}
	return at(&ast.IdentExpr{Value: unique}, p.lastLine)
}

func (p *parser) str(s string, line int) *ast.StringExpr {
	p.constant("s" + s)
	return at(&ast.StringExpr{Value: s}, line)
}

// numeral returns the expression of a number of the program, or of a folded one.
func (p *parser) numeral(f float64, line int) ast.Expr {
	switch {
	case math.IsInf(f, 0):
		// The compiler parses numerals, and there is none for infinity.
		one := "1"
		if f < 0 {
			one = "-1"
		}
		p.constant("nInf")
		return at(&ast.ArithmeticOpExpr{Operator: "/", Lhs: at(&ast.NumberExpr{Value: one}, line), Rhs: at(&ast.NumberExpr{Value: "0"}, line)}, line)
	}
	text := strconv.FormatFloat(f, 'g', -1, 64)
	if text == "-0" {
		text = "-0.0" // the compiler reads -0 as an integer, which has no sign
	}
	p.constant("n" + text)
	return at(&ast.NumberExpr{Value: text}, line)
}

// constantNumber returns the value of a numeral.
func constantNumber(e ast.Expr) (float64, bool) {
	n, ok := e.(*ast.NumberExpr)
	if !ok {
		return 0, false
	}
	f, err := strconv.ParseFloat(n.Value, 64)
	return f, err == nil
}

// Statements.

func blockFollows(kind int) bool {
	switch kind {
	case tkElse, tkElseif, tkEnd, tkUntil, tkEOF:
		return true
	}
	return false
}

// scope runs f and forgets the local variables that it declared.
func (p *parser) scope(f func()) {
	n := len(p.fn.locals)
	f()
	p.fn.locals = p.fn.locals[:n]
}

// block parses statements up to the token that ends them, without a scope of its own.
func (p *parser) block() (body []ast.Stmt) {
	p.enter()
	last := false
	for !last && !blockFollows(p.tok.kind) {
		var s ast.Stmt
		s, last = p.statement()
		body = append(body, s)
		p.accept(';')
	}
	p.leave()
	return body
}

func (p *parser) scopedBlock() (body []ast.Stmt) {
	p.scope(func() { body = p.block() })
	return body
}

func (p *parser) statement() (s ast.Stmt, last bool) {
	line := p.line
	switch p.tok.kind {
	case tkIf:
		return p.ifStatement(line), false
	case tkWhile:
		p.advance()
		s := &ast.WhileStmt{Condition: known(p.expression())}
		p.expect(tkDo)
		p.fn.loops++
		s.Stmts = p.scopedBlock()
		p.fn.loops--
		s.SetLine(line)
		s.SetLastLine(p.line)
		p.match(tkEnd, tkWhile, line)
		return s, false
	case tkDo:
		p.advance()
		s := at(&ast.DoBlockStmt{Stmts: p.scopedBlock()}, line)
		p.match(tkEnd, tkDo, line)
		return s, false
	case tkFor:
		return p.forStatement(line), false
	case tkRepeat:
		p.advance()
		s := &ast.RepeatStmt{}
		p.fn.loops++
		p.scope(func() {
			s.Stmts = p.block()
			p.match(tkUntil, tkRepeat, line)
			p.fn.loops--
			s.Condition = known(p.expression())
		})
		s.SetLine(line)
		s.SetLastLine(p.lastLine)
		return s, false
	case tkFunction:
		return p.functionStatement(line), false
	case tkLocal:
		p.advance()
		if p.accept(tkFunction) {
			p.checkLocals(1)
			name := p.declare(p.name())
			f := p.body(false, p.line)
			return at(&ast.LocalAssignStmt{Names: []string{name}, Exprs: []ast.Expr{f}}, line), false
		}
		return p.localStatement(line), false
	case tkReturn:
		p.advance()
		s := &ast.ReturnStmt{}
		if !blockFollows(p.tok.kind) && p.tok.kind != ';' {
			s.Exprs = p.expressions()
		}
		return at(s, p.lastLine), true
	case tkBreak:
		p.advance()
		if p.fn.loops == 0 {
			p.syntaxError("no loop to break")
		}
		return at(&ast.BreakStmt{}, line), true
	}
	return p.expressionStatement(), false
}

func (p *parser) ifStatement(line int) ast.Stmt {
	var first, current *ast.IfStmt
	chain := 0
	for {
		p.advance() // if or elseif
		s := &ast.IfStmt{Condition: known(p.expression())}
		at(s, p.lastLine)
		p.expect(tkThen)
		s.Then = p.scopedBlock()
		if first == nil {
			first = s
		} else {
			current.Else = []ast.Stmt{s}
		}
		current = s
		if p.tok.kind != tkElseif {
			break
		}
		if chain++; chain > maxElseifs {
			p.tooComplex()
		}
	}
	if p.accept(tkElse) {
		current.Else = p.scopedBlock()
	}
	p.match(tkEnd, tkIf, line)
	return first
}

func (p *parser) forStatement(line int) ast.Stmt {
	p.advance()
	name := p.name()
	switch p.tok.kind {
	case '=':
		return p.numericFor(name, line)
	case ',', tkIn:
		return p.genericFor(name, line)
	}
	p.syntaxError("'=' or 'in' expected")
	return nil
}

func (p *parser) numericFor(name string, line int) ast.Stmt {
	s := &ast.NumberForStmt{}
	p.scope(func() {
		p.checkLocals(4)
		p.advance()
		s.Init = p.plain(p.expression())
		p.expect(',')
		s.Limit = p.plain(p.expression())
		if p.accept(',') {
			s.Step = p.plain(p.expression())
		} else {
			s.Step = p.numeral(1, p.line)
		}
		p.hidden(3)
		s.SetLine(p.line)
		p.expect(tkDo)
		s.Name = p.declare(name)
		p.fn.loops++
		s.Stmts = p.block()
		p.fn.loops--
	})
	s.SetLastLine(p.line)
	p.match(tkEnd, tkFor, line)
	return s
}

func (p *parser) genericFor(name string, line int) ast.Stmt {
	s := &ast.GenericForStmt{}
	names := []string{name}
	p.scope(func() {
		for p.accept(',') {
			names = append(names, p.name())
			p.checkLocals(3 + len(names))
		}
		p.checkLocals(3 + len(names))
		p.expect(tkIn)
		at := p.line
		s.Exprs = p.expressions()
		p.hidden(3)
		p.expect(tkDo)
		for _, n := range names {
			s.Names = append(s.Names, p.declare(n))
		}
		p.fn.loops++
		s.Stmts = p.block()
		p.fn.loops--
		p.called(s, at, "local\x00(for generator)")
	})
	s.SetLastLine(p.line)
	p.match(tkEnd, tkFor, line)
	return s
}

func (p *parser) functionStatement(line int) ast.Stmt {
	p.advance()
	target := p.variable(p.name())
	method := false
	for p.tok.kind == '.' || p.tok.kind == ':' {
		method = p.tok.kind == ':'
		p.advance()
		target = p.field(target)
		if method {
			break
		}
	}
	f := p.body(method, line)
	s := at(&ast.AssignStmt{Lhs: []ast.Expr{p.plain(target)}, Rhs: []ast.Expr{f}}, line)
	return s
}

func (p *parser) localStatement(line int) ast.Stmt {
	var names []string
	for {
		p.checkLocals(len(names) + 1)
		names = append(names, p.name())
		if !p.accept(',') {
			break
		}
	}
	s := &ast.LocalAssignStmt{}
	if p.accept('=') {
		s.Exprs = p.expressions()
	}
	for _, n := range names {
		s.Names = append(s.Names, p.declare(n))
	}
	return at(s, p.lastLine)
}

func (p *parser) expressionStatement() ast.Stmt {
	e, call := p.primary()
	if call {
		s := at(&ast.FuncCallStmt{Expr: e}, p.lastLine)
		return s
	}
	targets := []ast.Expr{p.target(e)}
	for p.accept(',') {
		p.limit(len(targets)+1, maxLevels-p.levels, "variables in assignment")
		e, _ := p.primary()
		targets = append(targets, p.target(e))
	}
	p.expect('=')
	values := p.expressions()
	if len(targets) == 1 && len(values) == 1 {
		return at(&ast.AssignStmt{Lhs: targets, Rhs: values}, p.lastLine)
	}
	return p.assignment(targets, values)
}

func (p *parser) target(e ast.Expr) ast.Expr {
	switch x := e.(type) {
	case *ast.IdentExpr, *upvalueExpr:
		return known(e)
	case *ast.AttrGetExpr:
		switch x.Object.(type) {
		case *ast.StringExpr, *ast.NumberExpr:
			// The compiler assumes that the table of a store is in a register.
			x.Object = opaque(x.Object)
		}
		return e
	}
	p.syntaxError("syntax error")
	return nil
}

// assignment assigns through temporaries: the tables and keys of the targets first, then the values, then the stores
// from the last target to the first, as Lua does.
func (p *parser) assignment(targets, values []ast.Expr) ast.Stmt {
	line := p.lastLine
	block := at(&ast.DoBlockStmt{}, line)
	p.scope(func() {
		temporary := func() string {
			p.checkLocals(1)
			return p.declare("")
		}
		hold := func(e ast.Expr) ast.Expr {
			switch e := e.(type) {
			case *ast.StringExpr, *ast.NumberExpr, *ast.TrueExpr:
				return e
			case *ast.IdentExpr:
				assigned := false
				for _, t := range targets {
					if id, ok := t.(*ast.IdentExpr); ok && id.Value == e.Value {
						assigned = true
					}
				}
				if _, local := p.fn.localUnique(e.Value); local && !assigned {
					return e
				}
			}
			name := temporary()
			block.Stmts = append(block.Stmts, at(&ast.LocalAssignStmt{Names: []string{name}, Exprs: []ast.Expr{e}}, e.Line()&lineMask))
			return at(&ast.IdentExpr{Value: name}, e.Line()&lineMask)
		}
		for _, t := range targets {
			if a, ok := t.(*ast.AttrGetExpr); ok {
				a.Object = hold(a.Object)
				a.Key = hold(a.Key)
			}
		}
		store := &ast.LocalAssignStmt{Exprs: values}
		for range targets {
			store.Names = append(store.Names, temporary())
		}
		block.Stmts = append(block.Stmts, at(store, line))
		for i := len(targets) - 1; i >= 0; i-- {
			v := at(&ast.IdentExpr{Value: store.Names[i]}, line)
			block.Stmts = append(block.Stmts, at(&ast.AssignStmt{Lhs: targets[i : i+1], Rhs: []ast.Expr{v}}, line))
		}
	})
	return block
}

func (f *function) localUnique(unique string) (int, bool) {
	for i := range f.locals {
		if f.locals[i].unique == unique {
			return i, true
		}
	}
	return 0, false
}

// Expressions.

func (p *parser) expressions() []ast.Expr {
	list := []ast.Expr{p.plain(p.expression())}
	for p.accept(',') {
		list = append(list, p.plain(p.expression()))
	}
	return list
}

func (p *parser) expression() ast.Expr { return p.operation(0) }

type priority struct{ left, right int }

var priorities = map[int]priority{
	'+': {6, 6}, '-': {6, 6}, '*': {7, 7}, '/': {7, 7}, '%': {7, 7},
	'^': {10, 9}, tkConcat: {5, 4},
	tkNe: {3, 3}, tkEq: {3, 3}, '<': {3, 3}, tkLe: {3, 3}, '>': {3, 3}, tkGe: {3, 3},
	tkAnd: {2, 2}, tkOr: {1, 1},
}

const unaryPriority = 8

// operation parses operands and operators of higher precedence than limit.
func (p *parser) operation(limit int) ast.Expr {
	p.enter()
	var e ast.Expr
	switch op := p.tok.kind; op {
	case tkNot, '-', '#':
		p.advance()
		e = p.unary(op, p.operation(unaryPriority))
	default:
		e = p.simple()
	}
	for chain := 0; ; chain++ {
		op := p.tok.kind
		pr, ok := priorities[op]
		if !ok || pr.left <= limit {
			break
		}
		if chain > maxChain {
			p.tooComplex()
		}
		p.advance()
		right := p.operation(pr.right)
		e = p.binary(op, e, right, chain)
	}
	p.leave()
	return e
}

func (p *parser) unary(op int, e ast.Expr) ast.Expr {
	line := p.lastLine
	switch op {
	case tkNot:
		switch e.(type) {
		case *ast.NilExpr, *ast.FalseExpr:
			return at(&ast.TrueExpr{}, line)
		case *ast.TrueExpr, *ast.NumberExpr, *ast.StringExpr:
			return at(&ast.FalseExpr{}, line)
		}
		return at(&ast.UnaryNotOpExpr{Expr: known(e)}, line)
	case '-':
		if f, ok := constantNumber(e); ok {
			return p.numeral(-f, line)
		}
		n := &ast.UnaryMinusOpExpr{Expr: p.plain(e)}
		p.called(n, line, describeExpr(e), describeExpr(e))
		return n
	}
	n := &ast.UnaryLenOpExpr{Expr: p.plain(e)}
	p.called(n, line, describeExpr(e))
	return n
}

func (p *parser) binary(op int, a, b ast.Expr, chain int) ast.Expr {
	line := p.lastLine
	switch op {
	case tkAnd, tkOr:
		return at(&ast.LogicalOpExpr{Operator: tokenText(op), Lhs: known(a), Rhs: known(b)}, line)
	case tkConcat:
		names := []string{describeExpr(a), describeExpr(b)}
		if c, ok := b.(*ast.StringConcatOpExpr); ok {
			names = append(names[:1], strings.Split(p.info[c.Line()>>infoShift], "\x01")...)
		}
		n := &ast.StringConcatOpExpr{Lhs: p.plain(a), Rhs: p.plain(b)}
		p.called(n, line, names...)
		return n
	case tkNe, tkEq, '<', tkLe, '>', tkGe:
		return at(&ast.RelationalOpExpr{Operator: tokenText(op), Lhs: p.plain(a), Rhs: p.plain(b)}, line)
	}
	if x, ok := constantNumber(a); ok {
		if y, ok := constantNumber(b); ok {
			if f, ok := fold(op, x, y); ok {
				return p.numeral(f, line)
			}
			// The compiler would fold this, which Lua does not, with another result.
			a = opaque(a)
		}
	}
	names := []string{describeExpr(a), describeExpr(b)}
	if chain > 0 && chain%foldChain == 0 {
		a = opaque(known(a))
	}
	n := &ast.ArithmeticOpExpr{Operator: tokenText(op), Lhs: p.plain(a), Rhs: p.plain(b)}
	p.called(n, line, names...)
	return n
}

// opaque hides an expression from the compiler's folding of constants.
func opaque(e ast.Expr) ast.Expr {
	line := e.Line() & lineMask
	return at(&ast.LogicalOpExpr{Operator: "and", Lhs: at(&ast.TrueExpr{}, line), Rhs: e}, line)
}

// fold computes an operation on two constants; ok is false if Lua does not fold it.
func fold(op int, a, b float64) (f float64, ok bool) {
	switch op {
	case '+':
		f = a + b
	case '-':
		f = a - b
	case '*':
		f = a * b
	case '/':
		if b == 0 {
			return 0, false
		}
		f = a / b
	case '%':
		if b == 0 {
			return 0, false
		}
		f = a - math.Floor(a/b)*b
	default:
		f = libm.Pow(a, b)
	}
	return f, f == f
}

func (p *parser) simple() ast.Expr {
	line := p.line
	var e ast.Expr
	switch p.tok.kind {
	case tkNumber:
		e = p.numeral(p.tok.number, line)
	case tkString:
		e = p.str(p.tok.text, line)
	case tkNil:
		e = at(&ast.NilExpr{}, line)
	case tkTrue:
		e = at(&ast.TrueExpr{}, line)
	case tkFalse:
		e = at(&ast.FalseExpr{}, line)
	case tkDots:
		if !p.fn.vararg {
			p.syntaxError("cannot use '...' outside a vararg function")
		}
		e = at(&ast.Comma3Expr{}, line)
	case '{':
		return p.constructor()
	case tkFunction:
		p.advance()
		return p.body(false, line)
	default:
		e, _ = p.primary()
		return e
	}
	p.advance()
	return e
}

func (p *parser) prefix() ast.Expr {
	switch p.tok.kind {
	case tkName:
		return p.variable(p.name())
	case '(':
		line := p.line
		p.advance()
		e := p.expression()
		p.match(')', '(', line)
		switch x := e.(type) {
		case *ast.FuncCallExpr:
			x.AdjustRet = true
		case *ast.Comma3Expr:
			x.AdjustRet = true
		case *ast.IdentExpr, *upvalueExpr, *ast.AttrGetExpr:
			return &parenthesized{Expr: e}
		}
		return e
	}
	p.syntaxError("unexpected symbol")
	return nil
}

// parenthesized marks a variable that cannot be assigned to.
type parenthesized struct {
	ast.Expr
}

// primary parses a prefix with its suffixes. call is true if the last suffix is a call.
func (p *parser) primary() (e ast.Expr, call bool) {
	e = p.prefix()
	for chain := 0; ; chain++ {
		if chain > maxChain {
			p.tooComplex()
		}
		switch p.tok.kind {
		case '.':
			p.advance()
			e, call = p.field(e), false
		case '[':
			p.advance()
			key := p.plain(p.expression())
			line := p.line
			p.expect(']')
			n := &ast.AttrGetExpr{Object: p.plain(e), Key: key}
			p.called(n, line, describeExpr(e))
			e, call = n, false
		case ':':
			p.advance()
			method := p.name()
			p.nameConstant(method)
			line := p.line
			args := p.passed(p.arguments())
			n := &ast.FuncCallExpr{Receiver: p.plain(e), Method: method, Args: args}
			p.called(n, line, "method\x00"+method, describeExpr(e))
			e, call = n, true
		case '(', tkString, '{':
			line := p.line
			args := p.passed(p.arguments())
			n := &ast.FuncCallExpr{Func: p.plain(e), Args: args}
			p.called(n, line, describeExpr(e))
			e, call = n, true
		default:
			return e, call
		}
	}
}

// field parses the name behind a dot or colon.
func (p *parser) field(object ast.Expr) ast.Expr {
	line := p.line
	key := p.str(p.name(), line)
	n := &ast.AttrGetExpr{Object: p.plain(object), Key: key}
	p.called(n, line, describeExpr(object))
	return n
}

// passed returns the arguments of a call. Too many are put into a table and replaced by one call of spread, which returns
// them; a last argument with several values is an argument of spread, too.
func (p *parser) passed(args []ast.Expr) []ast.Expr {
	if len(args) <= manyArguments || p.spread == nil {
		return args
	}
	line := args[0].Line() & lineMask
	t := at(&ast.TableExpr{}, line)
	n := len(args)
	var several []ast.Expr
	switch x := args[n-1].(type) {
	case *ast.FuncCallExpr:
		if !x.AdjustRet {
			several = args[n-1:]
		}
	case *ast.Comma3Expr:
		if !x.AdjustRet {
			several = args[n-1:]
		}
	}
	n -= len(several)
	for _, e := range args[:n] {
		switch x := e.(type) {
		case *ast.FuncCallExpr:
			x.AdjustRet = true
		case *ast.Comma3Expr:
			x.AdjustRet = true
		}
		t.Fields = append(t.Fields, &ast.Field{Value: e})
	}
	p.values = append(p.values, p.spread)
	spread := at(&ast.TrueExpr{}, line|(len(p.values)-1)<<infoShift|constantMark)
	call := at(&ast.FuncCallExpr{Func: spread, Args: append([]ast.Expr{t, p.numeral(float64(n), line)}, several...)}, line)
	return []ast.Expr{call}
}

func (p *parser) arguments() []ast.Expr {
	line := p.line
	switch p.tok.kind {
	case '(':
		if line != p.lastLine {
			p.syntaxError("ambiguous syntax (function call x new statement)")
		}
		p.advance()
		var args []ast.Expr
		if p.tok.kind != ')' {
			args = p.expressions()
		}
		p.match(')', '(', line)
		return args
	case '{':
		return []ast.Expr{p.constructor()}
	case tkString:
		e := p.str(p.tok.text, line)
		p.advance()
		return []ast.Expr{e}
	}
	p.syntaxError("function arguments expected")
	return nil
}

func (p *parser) constructor() ast.Expr {
	line := p.line
	p.expect('{')
	t := &ast.TableExpr{}
	items := 0
	for p.tok.kind != '}' {
		f := &ast.Field{}
		switch {
		case p.tok.kind == '[':
			p.advance()
			f.Key = p.plain(p.expression())
			p.expect(']')
			p.expect('=')
		case p.tok.kind == tkName && p.peek() == '=':
			at := p.line
			f.Key = p.str(p.name(), at)
			p.advance()
		}
		f.Value = p.plain(p.expression())
		if f.Key == nil {
			if items++; items > maxItems {
				p.fail("constructor too long", noToken)
			}
		}
		t.Fields = append(t.Fields, f)
		if !p.accept(',') && !p.accept(';') {
			break
		}
	}
	p.match('}', '{', line)
	return at(t, p.lastLine)
}

// body parses parameters and body of a function.
func (p *parser) body(method bool, line int) ast.Expr {
	f := &function{parent: p.fn, line: line}
	p.fn = f
	list := &ast.ParList{}
	parameter := func(name string) {
		p.checkLocals(1)
		list.Names = append(list.Names, p.declare(name))
	}
	p.expect('(')
	if method {
		parameter("self")
	}
	for p.tok.kind != ')' {
		switch p.tok.kind {
		case tkName:
			parameter(p.name())
		case tkDots:
			p.advance()
			f.vararg, list.HasVargs = true, true
			f.locals = append(f.locals, variable{"arg", "arg"})
		default:
			p.syntaxError("<name> or '...' expected")
		}
		if f.vararg || !p.accept(',') {
			break
		}
		if p.tok.kind != tkName && p.tok.kind != tkDots {
			p.syntaxError("<name> or '...' expected")
		}
	}
	p.expect(')')
	e := &ast.FunctionExpr{ParList: list, Stmts: p.block()}
	e.SetLine(line)
	e.SetLastLine(p.line)
	p.match(tkEnd, tkFunction, line)
	p.fn = f.parent
	return e
}
