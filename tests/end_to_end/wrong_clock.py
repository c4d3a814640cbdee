"""A wall clock that is wrong by as much as one says, at any moment, for programs that are started with it.

libfaketime would do, but in the versions that are common today `time.sleep` of a program with an untouched monotonic
clock fails (clock_nanosleep: EINVAL). So a few lines of C stand in front of the C library's clocks.
"""

import struct
import subprocess
from pathlib import Path
from shutil import which

_SOURCE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile long long *offset;

__attribute__((constructor)) static void find(void) {
    const char *name = getenv("WRONG_CLOCK");
    int fd = name ? open(name, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0) return;
    void *place = mmap(NULL, 8, PROT_READ, MAP_SHARED, fd, 0);
    if (place != MAP_FAILED) offset = place;
    close(fd);
}

int clock_gettime(clockid_t id, struct timespec *t) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int code = real(id, t);
    if (!code && offset && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) t->tv_sec += *offset;
    return code;
}

int gettimeofday(struct timeval *restrict tv, void *restrict zone) {
    struct timespec t;
    (void)zone;
    int code = clock_gettime(CLOCK_REALTIME, &t);
    tv->tv_sec = t.tv_sec;
    tv->tv_usec = t.tv_nsec / 1000;
    return code;
}

time_t time(time_t *where) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    if (where) *where = t.tv_sec;
    return t.tv_sec;
}
"""


class WrongClock:
    """The clock, in a folder. Raises subprocess.CalledProcessError if it cannot be built."""

    def __init__(self, folder: Path) -> None:
        self._offset = folder / "clock"
        self._library = folder / "clock.so"
        self._offset.write_bytes(bytes(8))
        command = ["cc", "-shared", "-fPIC", "-x", "c", "-", "-o", str(self._library), "-ldl"]
        subprocess.run(command, input=_SOURCE.encode(), check=True)

    @staticmethod
    def is_possible() -> bool:
        """Whether there is a compiler."""
        return which("cc") is not None

    @property
    def environment(self) -> dict[str, str]:
        """What programs that are to see this clock need in their environment."""
        return {"LD_PRELOAD": str(self._library), "WRONG_CLOCK": str(self._offset)}

    def be_wrong_by(self, seconds: int) -> None:
        """From now on, in every program that sees this clock."""
        with self._offset.open("r+b", buffering=0) as file:  # in place: they have it mapped
            file.write(struct.pack("q", seconds))
