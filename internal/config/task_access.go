package config

import (
	"tidegate/internal/grant"
)

// Values of [Config.TaskAccess].
const (
	AutoAccess  = "auto"  // [OpenAccess] on loopback or with --api-open, else [TokenAccess]
	OpenAccess  = "open"  // everybody who knows a task's id may read it
	TokenAccess = "token" // an access token that names it is needed
)

// rights are the settings about who may read tasks.
func (c *Config) rights() []setting {
	return []setting{
		{"task-access", tasks, choice(&c.TaskAccess, AutoAccess, AutoAccess, OpenAccess, TokenAccess), "right to read a task. `open`: everybody who knows its id. `token`: its access token, or --api-token. `auto`: open on loopback or with --api-open, else token"},
		{"access-secret", tasks, accessKeys(&c.AccessSecrets), "key that signs access tokens (HS256), for a backend that makes its own, or several that share tasks. Of several, all are accepted, and the first signs. Without one, a key is kept in --data"},
	}
}

// AccessRequired reports whether reading a task needs an access token.
func (c *Config) AccessRequired() bool {
	switch c.TaskAccess {
	case OpenAccess:
		return false
	case TokenAccess:
		return true
	}
	return !IsLocal(c.Listen) && !c.APIOpen
}

// accessKeys is a list of keys, or of files with them, that are never shown.
func accessKeys(p *[]string) value {
	const allowed = "32 visible ASCII characters or more without blanks, or file:PATH of a file with one such key on each line"
	return secretList{list{p, "KEY", allowed, func(text string) (string, error) {
		if text == hidden {
			return "", errHidden
		}
		return text, grant.CheckKeys(text)
	}}}
}
