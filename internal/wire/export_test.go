package wire

// AppendQuoted writes the strings of answers.
var AppendQuoted = appendQuoted
