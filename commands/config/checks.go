package config

import (
	"strconv"
	"strings"
)

// Checks of single values, with the reasons that Redis gives.

func isBaseName(s string) bool { return !strings.ContainsAny(s, `/\`) }

func checkDBFilename(s string) error {
	if !isBaseName(s) {
		return errDBFilenamePath
	}
	return nil
}

func checkAppendFilename(s string) error {
	if s == "" {
		return errAppendFilenameEmpty
	}
	if !isBaseName(s) {
		return errAppendFilenamePath
	}
	return nil
}

func checkAppendDirname(s string) error {
	if s == "" {
		return errAppendDirnameEmpty
	}
	if !isBaseName(s) {
		return errAppendDirnamePath
	}
	return nil
}

func isAlnum(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

func checkHostname(s string) error {
	if len(s) >= 256 {
		return errHostnameLong
	}
	for i := 0; i < len(s); i++ {
		if c := s[i]; !isAlnum(c) && c != '-' && c != '.' {
			return errHostnameChars
		}
	}
	return nil
}

func checkNodename(s string) error {
	if strings.ContainsAny(s, "!#$%&()*+:;<>?@[]^{|}~\x00") {
		return errNodename
	}
	return nil
}

// checkLocale accepts possible names of locales. It does not check whether the
// host has the locale.
func checkLocale(s string) error {
	for i := 0; i < len(s); i++ {
		if c := s[i]; !isAlnum(c) && !strings.ContainsRune("_-.@/=;", rune(c)) {
			return errLocale
		}
	}
	return nil
}

func checkRDBVersion(v int) error {
	if v != 0 && v < 9 {
		return errRDBVersion
	}
	return nil
}

func (c *Config) checkTitleTemplate(template string) error {
	title, ok := c.expandTitle(template, "")
	if !ok || title == "" {
		return errTitleTemplate
	}
	return nil
}

// ProcTitle returns the process title of proc-title-template; name, usually the
// path of the program, replaces {title}.
func (c *Config) ProcTitle(name string) string {
	title, _ := c.expandTitle(c.ProcTitleTemplate, name)
	return title
}

// expandTitle replaces the {variables} of a template ("{{" is a literal brace)
// and trims blanks. It fails for an unknown variable or a brace left open.
func (c *Config) expandTitle(template, name string) (string, bool) {
	var out strings.Builder
	for {
		before, after, found := strings.Cut(template, "{")
		out.WriteString(before)
		if !found {
			return strings.Trim(out.String(), " "), true
		}
		if rest, escaped := strings.CutPrefix(after, "{"); escaped {
			out.WriteByte('{')
			template = rest
			continue
		}
		variable, rest, closed := strings.Cut(after, "}")
		if !closed {
			return "", false
		}
		switch variable {
		case "title":
			out.WriteString(name)
		case "listen-addr":
			out.WriteString(c.listenAddr())
		case "server-mode":
			if c.ClusterEnabled {
				out.WriteString("[cluster]")
			}
		case "config-file":
			if c.file == "" {
				out.WriteByte('-')
			}
			out.WriteString(c.file)
		case "port":
			out.WriteString(strconv.Itoa(c.Port))
		case "tls-port":
			out.WriteString(strconv.Itoa(c.TLSPort))
		case "unixsocket":
			out.WriteString(c.UnixSocket)
		default:
			return "", false
		}
		template = rest
	}
}

func (c *Config) listenAddr() string {
	port := c.Port
	if port == 0 {
		port = c.TLSPort
	}
	if port == 0 {
		return "unixsocket:" + c.UnixSocket
	}
	host := "*"
	if len(c.Bind) > 0 {
		host = c.Bind[0]
	}
	return host + ":" + strconv.Itoa(port)
}
