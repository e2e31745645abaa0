module tidegate/measure

go 1.26.0

require (
	github.com/spf13/pflag v1.1.0
	golang.org/x/sync v0.24.0
	golang.org/x/sys v0.50.0
	tidegate v0.0.0
)

replace tidegate => ../
