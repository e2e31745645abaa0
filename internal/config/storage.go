package config

import (
	"errors"
	"net/url"
	"regexp"
	"strings"
)

// storage are the settings about where events, tasks and the state of nodes are stored.
func (c *Config) storage(command string) []setting {
	data := "./tidegate-data"
	if command == "gateway" {
		data = ""
	}
	return []setting{
		{"data", all, folder(&c.Data, data), "folder of the embedded storage. It is made if it is missing. Empty keeps everything in memory, as `tidegate gateway` does by default"},
		{"durability", all, choice(&c.Durability, ProcessDurability, ProcessDurability, PowerDurability), "what an answered event survives. `process`: the end of the process. `power`: a loss of power too, for which sends wait for the disk. An external cluster has its own configuration"},
		{"store-size", all, sizeOrZero(&c.StoreSize, 16*mib, 64*tib, "the smaller of 1GiB and a quarter of the free disk"), "bytes that stored events can take. Beyond it the oldest are deleted"},
		{"nats-url", all, natsURLs(&c.NATSURLs), "server of an external NATS cluster, 2.15 or newer, in place of embedded storage. Nodes that use the same cluster share it"},
		{"nats-listen", all, optionalAddress(&c.NATSListen), "address at which the embedded storage serves other nodes of this deployment. They need its token. Off loopback it needs --nats-token, --nats-cert and --nats-key"},
		{"nats-prefix", all, prefix(&c.NATSPrefix, "tidegate"), "beginning of the names of all subjects and streams, so that several deployments can share a cluster. A data folder keeps the prefix it was made with"},
		{"nats-replicas", all, count(&c.NATSReplicas, 0, 0, 5), "copies that an external cluster keeps. 0 is 3 if it has three servers, else 1"},
		{"nats-token", all, natsToken(&c.NATSToken), "token to log in with. With --nats-listen it is the one that others must give, of 16 characters or more. Without it, one is made and kept in the file nats-token of --data"},
		{"nats-user", all, unbroken(&c.NATSUser), "user to log in as at NATS"},
		{"nats-password", all, secret(&c.NATSPassword), "password of --nats-user"},
		{"nats-creds", all, file(&c.NATSCreds), "credentials file to log in with at NATS"},
		{"nats-nkey", all, file(&c.NATSNKey), "file with the seed of the nkey to log in with at NATS"},
		{"nats-ca", all, file(&c.NATSCA), "PEM file with the authorities that check the certificates of NATS servers"},
		{"nats-cert", all, file(&c.NATSCert), "PEM file with the certificate to show: that of --nats-listen, or to --nats-url. Needs --nats-key"},
		{"nats-key", all, file(&c.NATSKey), "PEM file with the private key of --nats-cert"},
	}
}

// folder is the path of a directory that need not exist yet.
func folder(p *string, def string) value {
	*p = def
	return scalar[string]{p, "DIR", "the path of a directory, or nothing for none", func(text string) (string, error) { return text, nil }, verbatim}
}

// sizeOrZero is a size for which 0 has a meaning.
func sizeOrZero(p *int64, lo, hi int64, zero string) value {
	inner := size(p, 0, lo, hi).(scalar[int64])
	*p = 0
	parse := inner.parse
	inner.allowed = "0 for " + zero + ", or a size from " + ByteSize(lo).String() + " to " + ByteSize(hi).String()
	inner.parse = func(text string) (int64, error) {
		if text == "0" || text == "0B" {
			return 0, nil
		}
		return parse(text)
	}
	return inner
}

// optionalAddress is the address of an optional listener.
func optionalAddress(p *string) value {
	inner := address(p, "").(scalar[string])
	parse := inner.parse
	inner.allowed += ", or nothing for none"
	inner.parse = func(text string) (string, error) {
		if text == "" {
			return "", nil
		}
		return parse(text)
	}
	return inner
}

// urlList is a list of URLs. Users in them are never shown.
type urlList struct{ list }

// natsURLs is a list of NATS servers.
func natsURLs(p *[]string) value {
	return urlList{list{p, "URL", "a URL such as nats://127.0.0.1:4222 or tls://nats.example.org, or several with commas between them", func(text string) (string, error) {
		for one := range strings.SplitSeq(text, ",") {
			if err := checkNATSURL(one); err != nil {
				return "", err
			}
		}
		return text, nil
	}}}
}

func checkNATSURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Opaque != "" || u.Scheme != "nats" && u.Scheme != "tls":
		return errNotAllowed
	case u.User != nil:
		return errors.New("has a user or password, which logs would show; use --nats-user, --nats-token or --nats-creds")
	case u.Hostname() == "" || !isHost(u.Hostname()) || u.Port() != "" && !isPort(u.Port()) || u.Path != "" || u.RawQuery != "" || u.Fragment != "":
		return errNotAllowed
	}
	return nil
}

var prefixPattern = regexp.MustCompile(`^[a-z0-9_-]{1,32}$`)

// prefix is a name that can begin those of subjects and streams.
func prefix(p *string, def string) value {
	*p = def
	return scalar[string]{p, "NAME", "1 to 32 of a-z, 0-9, _ and -", func(text string) (string, error) {
		if !prefixPattern.MatchString(text) {
			return "", errNotAllowed
		}
		return text, nil
	}, verbatim}
}

// unbroken is a text without blanks.
func unbroken(p *string) value {
	return scalar[string]{p, "NAME", "a word without blanks", func(text string) (string, error) {
		if strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
			return "", errNotAllowed
		}
		return text, nil
	}, verbatim}
}
