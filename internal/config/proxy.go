package config

import (
	"net/netip"
	"slices"
)

// UnixPeers is the value of --trusted-proxy for peers on a Unix socket.
const UnixPeers = "unix"

// proxies is a list of networks and addresses of proxies.
func proxies(p *[]string) value {
	return list{p, "NETWORK", "a network such as 10.0.0.0/8, an address, or " + UnixPeers + " for the peers on a Unix socket", func(text string) (string, error) {
		if text == UnixPeers {
			return text, nil
		}
		_, err := parseNetwork(text)
		return text, err
	}}
}

// parseNetwork reads a network, or an address as the network of it alone.
func parseNetwork(text string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	network, err := netip.ParsePrefix(text)
	if err != nil || network.Addr().Is4In6() {
		return network, errNotAllowed
	}
	return network.Masked(), nil
}

// TrustedNetworks is --trusted-proxy as networks; unix says that [UnixPeers] is among them.
func (c *Config) TrustedNetworks() (networks []netip.Prefix, unix bool) {
	for _, text := range c.TrustedProxies {
		if network, err := parseNetwork(text); err == nil {
			networks = append(networks, network)
		}
	}
	return networks, slices.Contains(c.TrustedProxies, UnixPeers)
}
