/* What sandbox.c needs of the kernel: system calls, the structures they fill, the entry point. No libc. */

#if defined(__x86_64__)

enum {
	SYS_read = 0, SYS_write = 1, SYS_close = 3, SYS_lseek = 8, SYS_rt_sigprocmask = 14, SYS_getpid = 39, SYS_socket = 41,
	SYS_connect = 42, SYS_shutdown = 48, SYS_setsockopt = 54, SYS_clone = 56, SYS_exit = 60, SYS_wait4 = 61,
	SYS_kill = 62, SYS_getppid = 110, SYS_rt_sigtimedwait = 128, SYS_prctl = 157, SYS_getdents64 = 217, SYS_openat = 257,
	SYS_fchownat = 260, SYS_unlinkat = 263, SYS_renameat = 264, SYS_fchmodat = 268, SYS_statx = 332,
};

#define O_DIRECTORY 0200000
#define O_NOFOLLOW 0400000

static long syscall5(long number, long a, long b, long c, long d, long e)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	long result;
	__asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
			 : "rcx", "r11", "memory");
	return result;
}

__asm__(".globl _start\n_start: xor %ebp, %ebp\n mov %rsp, %rdi\n and $-16, %rsp\n call run\n");

#elif defined(__aarch64__)

enum {
	SYS_unlinkat = 35, SYS_renameat = 38, SYS_fchmodat = 53, SYS_fchownat = 54, SYS_openat = 56, SYS_close = 57,
	SYS_getdents64 = 61, SYS_lseek = 62, SYS_read = 63, SYS_write = 64, SYS_exit = 93, SYS_kill = 129,
	SYS_rt_sigprocmask = 135, SYS_rt_sigtimedwait = 137, SYS_prctl = 167, SYS_getpid = 172,
	SYS_getppid = 173, SYS_socket = 198, SYS_connect = 203,
	SYS_setsockopt = 208, SYS_shutdown = 210, SYS_clone = 220, SYS_wait4 = 260, SYS_statx = 291,
};

#define O_DIRECTORY 040000
#define O_NOFOLLOW 0100000

static long syscall5(long number, long a, long b, long c, long d, long e)
{
	register long x8 __asm__("x8") = number;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = e;
	__asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4) : "memory");
	return x0;
}

__asm__(".globl _start\n_start: mov x29, #0\n mov x0, sp\n and sp, x0, #-16\n bl run\n");

#endif

#define CALL5(name, a, b, c, d, e) syscall5(SYS_##name, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e))
#define CALL4(name, a, b, c, d) CALL5(name, a, b, c, d, 0)
#define CALL3(name, a, b, c) CALL5(name, a, b, c, 0, 0)

enum { O_RDONLY = 0, O_CLOEXEC = 02000000, O_PATH = 010000000 };
enum { AT_FDCWD = -100, AT_REMOVEDIR = 0x200, AT_EMPTY_PATH = 0x1000 };
enum { EPERM = 1, ENOENT = 2, ESRCH = 3, EACCES = 13, EBUSY = 16, EEXIST = 17, ENOTDIR = 20, EINVAL = 22, EROFS = 30,
       ENAMETOOLONG = 36, ENOTEMPTY = 39, ELOOP = 40, ECONNREFUSED = 111 };
enum { AF_INET = 2, AF_INET6 = 10, SOCK_STREAM = 1, SHUT_WR = 1, IPPROTO_TCP = 6, TCP_NODELAY = 1 };
enum { PR_SET_PDEATHSIG = 1 };
enum { SIGINT = 2, SIGKILL = 9, SIGTERM = 15, SIGCHLD = 17, SIG_SETMASK = 2, WNOHANG = 1 };
enum { S_IFMT = 0170000, S_IFDIR = 0040000, S_IFLNK = 0120000, S_ISGID = 02000 };
enum { STATX_BASIC_STATS = 0x7ff, STATX_ATTR_MOUNT_ROOT = 0x2000 };

struct statx { /* the same on every architecture, unlike struct stat */
	unsigned mask, block_size;
	unsigned long long attributes;
	unsigned links, uid, gid;
	unsigned short mode, spare;
	unsigned long long inode, size, blocks, attributes_mask;
	long long times[8];
	unsigned rdev_major, rdev_minor, dev_major, dev_minor;
	unsigned long long spare2[14];
};

struct dirent {
	unsigned long long inode;
	long long offset;
	unsigned short length;
	unsigned char type;
	char name[];
};
