/* c-ares, and what the Glibc module map leaves out: Linux calls, and the GNU calls that need _GNU_SOURCE, declared here as their manual pages do.
   One module for all of it: headers that two modules share belong to either, and Swift wants the owner imported. */
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <net/if.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netdb.h>
#include <ares.h>
#include <getopt.h>

int accept4(int, struct sockaddr *__restrict, socklen_t *__restrict, int);
int pthread_setname_np(pthread_t, const char *);
int pthread_mutex_clocklock(pthread_mutex_t *__restrict, clockid_t, const struct timespec *__restrict);

/* sched_setattr(2), for which the C library has no function before 2.41: the first version of its structure. Of the calling thread. */
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

struct meshnet_sched_attributes {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
};

static inline int meshnet_sched_getattr(struct meshnet_sched_attributes *attributes) {
    return (int)syscall(SYS_sched_getattr, 0, attributes, sizeof *attributes, 0);
}

static inline int meshnet_sched_setattr(struct meshnet_sched_attributes *attributes) { return (int)syscall(SYS_sched_setattr, 0, attributes, 0); }
