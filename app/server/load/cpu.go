package load

import (
	"syscall"
	"time"
)

// CPU is what this process has used so far, in user and kernel mode. On a machine
// that others use too it says more than the clock.
func CPU() time.Duration { return used(syscall.RUSAGE_SELF) }

// ThreadCPU is what this thread has used so far. The goroutine must be locked to
// it.
func ThreadCPU() time.Duration { return used(thread) }

const thread = 1 // RUSAGE_THREAD of getrusage(2), which package syscall does not name

func used(who int) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(who, &u); err != nil {
		panic("getrusage: " + err.Error())
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
