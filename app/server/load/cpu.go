package load

import (
	"syscall"
	"time"
)

// CPU is what this process has used so far, in user and kernel mode. On a machine
// that others use too it says more than the clock.
func CPU() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic("getrusage: " + err.Error())
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
