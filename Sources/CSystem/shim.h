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
