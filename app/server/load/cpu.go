package load

import (
	"syscall"
	"time"
)

// CPU is what this process has used so far, in user and kernel mode.
func CPU() time.Duration { return rusage(syscall.RUSAGE_SELF) }

// threadCPU is what this thread has used; the goroutine must be locked to it.
func threadCPU() time.Duration { return rusage(rusageThread) }

const rusageThread = 1 // RUSAGE_THREAD of getrusage(2), which package syscall does not name

func rusage(who int) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(who, &u); err != nil {
		panic("getrusage: " + err.Error())
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
