/* What the Glibc module map leaves out: Linux calls, and the GNU calls that need _GNU_SOURCE, declared here as their manual pages do. */
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <net/if.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

int accept4(int, struct sockaddr *__restrict, socklen_t *__restrict, int);
int pthread_setname_np(pthread_t, const char *);
