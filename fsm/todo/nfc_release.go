//go:build !next

package todo

import "golang.org/x/text/unicode/norm"

// NFC is the form in which names and tags are stored. It uses Unicode tables, so it is for use before proposing only.
func NFC(s string) string { return norm.NFC.String(s) }
