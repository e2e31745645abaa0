package config

import (
	"fmt"
	"io/fs"
	"strconv"
)

// fileMode is the permissions of a file, as chmod takes them.
func fileMode(p *fs.FileMode, def fs.FileMode) value {
	*p = def
	return scalar[fs.FileMode]{p, "MODE", "an octal mode such as 660", func(text string) (fs.FileMode, error) {
		mode, err := strconv.ParseUint(text, 8, 16)
		if err != nil || mode&^0o777 != 0 {
			return 0, errNotAllowed
		}
		return fs.FileMode(mode), nil
	}, func(mode fs.FileMode) string { return fmt.Sprintf("%03o", uint32(mode)) }}
}
