package config

import "fmt"

// The texts of errors, all in one place. They are Redis's, word for word, since
// clients and scripts compare them.

// reason is the reason why a value or a line is refused. It is a part of the
// error of CONFIG SET or of the start, and has Redis's wording.
type reason string

func (r reason) Error() string { return string(r) }

const (
	errYesNo               = reason("argument must be 'yes' or 'no'")
	errMemory              = reason("argument must be a memory value")
	errMemoryOrPercent     = reason("argument must be a memory or percent value")
	errMemoryLimit         = reason("argument must be a memory value, or 1% to 100% of the memory that there is")
	errOctal               = reason("argument couldn't be parsed as an octal number")
	errInteger             = reason("argument couldn't be parsed into an integer")
	errDBFilenamePath      = reason("dbfilename can't be a path, just a filename")
	errAppendFilenameEmpty = reason("appendfilename can't be empty")
	errAppendFilenamePath  = reason("appendfilename can't be a path, just a filename")
	errAppendDirnameEmpty  = reason("appenddirname can't be empty")
	errAppendDirnamePath   = reason("appenddirname can't be a path, just a dirname")
	errHostnameLong        = reason("Hostnames must be less than 256 characters")
	errHostnameChars       = reason("Hostnames may only contain alphanumeric characters, hyphens or dots")
	errNodename            = reason("Announced human node name contained invalid character")
	errLocale              = reason("Invalid locale name")
	errRDBVersion          = reason("argument must be 0 (chosen by the data) or between 9 and 12 inclusive")
	errTitleTemplate       = reason("template format is invalid or contains unknown variables")
	errSaveAndNosave       = reason("shutdown options SAVE and NOSAVE can't be used simultaneously")
	errWrongArgs           = reason("wrong number of arguments")
	errNoDir               = reason("No such file or directory")
	errSave                = reason("Invalid save parameters")
	errLimitArgs           = reason("Wrong number of arguments in buffer limit configuration.")
	errLimitClass          = reason("Invalid client class specified in buffer limit configuration.")
	errLimitValue          = reason("Error in hard, soft or soft_seconds setting in buffer limit configuration.")
	errOOMValues           = reason("Invalid oom-score-adj-values, elements must be between -2000 and 2000.")
	errEventClass          = reason("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.")
	errBindCount           = reason("Too many bind addresses specified.")
	errMasterPort          = reason("Invalid master port")
	errPercentile          = reason("Invalid latency-tracking-info-percentiles parameters")
	errPercentileRange     = reason("latency-tracking-info-percentiles parameters should sit between [0.0,100.0]")
	errQuotes              = reason("Unbalanced quotes in configuration line")
	errModuleValue         = reason("Module config specified without value")
	errSentinel            = reason("sentinel directive while not in sentinel mode")
	errBadDirective        = reason("Bad directive or wrong number of arguments")
	errImmutable           = reason("can't set immutable config")
	errProtected           = reason("can't set protected config")
	errDuplicate           = reason("duplicate parameter")
)

// Errors of CONFIG SET and CONFIG REWRITE are whole error replies, without the
// leading minus sign.
const (
	ErrSyntax  = reason("ERR syntax error")
	ErrLoading = reason("LOADING Redis is loading the dataset in memory")
	// ErrNoFile is the error of CONFIG REWRITE on a server without a file.
	ErrNoFile = reason("ERR The server is running without a config file")
)

func errUnknownParameter(name string) error {
	return fmt.Errorf("ERR Unknown option or number of arguments for CONFIG SET - '%s'", name)
}

func errSet(name string, why error) error {
	return fmt.Errorf("ERR CONFIG SET failed (possibly related to argument '%s') - %w", name, why)
}

func errRewrite(err error) error {
	return fmt.Errorf("ERR Rewriting config file: %s", errorText(err))
}
