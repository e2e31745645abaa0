// Package admission decides when a client's connect may start: it paces reconnect
// storms ([Limiter]), shares slots fairly between addresses ([Slots]), and admits
// nobody during a drain ([Gate]). It knows neither streams nor HTTP.
package admission
