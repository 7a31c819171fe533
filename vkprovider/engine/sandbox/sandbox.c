/*
 * The program of the sandbox image: the first process of every pod, and the few things that must be done to a pod's
 * files as root, inside a container.
 *
 *   sandbox                       hold the pod's namespaces and reap orphans; TERM or INT ends it at once, with 0
 *   sandbox remove PATH...        delete each PATH and everything below it; one that is not there is fine
 *   sandbox own [-r] GID PATH...  give each PATH and everything below it to a group, as a kubelet does for fsGroup;
 *                                 -r for a volume that is mounted read-only
 *   sandbox chmod MODE PATH...    set the permissions of each PATH itself, in octal
 *   sandbox kill PID              end a process of the namespace this runs in, at once; one that is gone is fine
 *   sandbox connect PORT          be a connection to a TCP port of the pod's loopback: standard input goes there, its
 *                                 end too, and what comes goes to standard output, until the other side ends
 *
 * Containers have written below these paths, so nothing found there is trusted: every name is opened relative to the
 * directory it was read from, symbolic links are never followed, mounts are never emptied, and no depth of nesting
 * exhausts the stack. What fails is named on standard error, the rest is still done, and the exit code is 1; wrong
 * usage is 2.
 */

#include "linux.h"

typedef enum { false, true } bool;

enum {
	DEEPEST = 400, /* levels below a PATH that are entered: each costs a file descriptor and a stack frame */
	PATH_SIZE = 4096 + (DEEPEST + 2) * 256,
};

static const char *command;
static char path[PATH_SIZE]; /* where the work is, for messages */
static unsigned path_length;
static bool failed;

static unsigned length_of(const char *text)
{
	unsigned n = 0;
	while (text[n])
		n++;
	return n;
}

static bool equal(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return *a == *b;
}

/* A number of digits in the given base up to a limit, or -1. */
static long number_of(const char *text, unsigned base, long limit)
{
	long number = 0;
	const char *at = text;
	for (; *at; at++) {
		unsigned digit = (unsigned)*at - '0';
		if (digit >= base || (number = number * base + digit) > limit)
			return -1;
	}
	return at == text ? -1 : number;
}

/* --- messages ---------------------------------------------------------------------------------------------------- */

static void say(const char *text)
{
	CALL3(write, 2, text, length_of(text));
}

static void say_number(unsigned number)
{
	char digits[11], *start = digits + sizeof digits - 1;
	*start = 0;
	do
		*--start = '0' + number % 10;
	while (number /= 10);
	say(start);
}

static const char *meaning(long error)
{
	switch (error) {
	case -EPERM: return "Operation not permitted";
	case -ENOENT: return "No such file or directory";
	case -EACCES: return "Permission denied";
	case -EBUSY: return "Device or resource busy";
	case -ENOTDIR: return "Not a directory";
	case -EINVAL: return "Invalid argument";
	case -EROFS: return "Read-only file system";
	case -ENAMETOOLONG: return "File name too long";
	case -ENOTEMPTY: return "Directory not empty";
	case -ECONNREFUSED: return "Connection refused";
	}
	return 0;
}

static bool complain(const char *words)
{
	say(command), say(": "), say(path), say(": "), say(words), say("\n");
	failed = true;
	return false;
}

static bool complain_of(long error)
{
	const char *words = meaning(error);
	if (words)
		return complain(words);
	complain("system error");
	say("error "), say_number(-error), say("\n");
	return false;
}

static void usage(void)
{
	say("usage: sandbox [remove PATH... | own [-r] GID PATH... | chmod MODE PATH... | kill PID | connect PORT]"
	    "   each PATH absolute\n");
	CALL3(exit, 2, 0, 0);
}

/* --- walking ----------------------------------------------------------------------------------------------------- */

typedef bool visitor(long directory, const char *name, int depth);

/* Lengthen `path` by a name. Gives the length to go back to afterwards. */
static unsigned push(const char *name)
{
	unsigned before = path_length;
	if (before)
		path[path_length++] = '/';
	while (*name && path_length < PATH_SIZE - 1)
		path[path_length++] = *name++;
	path[path_length] = 0;
	return before;
}

static void pop(unsigned before)
{
	path[path_length = before] = 0;
}

static bool is_directory(const struct statx *st)
{
	return (st->mode & S_IFMT) == S_IFDIR;
}

/* Open a name without following or waking it, a directory for reading. Gives the descriptor or the error. */
static long enter(long directory, const char *name, struct statx *st)
{
	long fd = CALL4(openat, directory, name, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0);
	if (fd < 0)
		return fd;
	long result = CALL5(statx, fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, st);
	if (result == 0) {
		if (!is_directory(st))
			return fd;
		result = CALL4(openat, fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	}
	CALL3(close, fd, 0, 0);
	return result;
}

/* Visit every entry of a directory. Gives how many there were, or -1 if a visit failed. */
static long visit_entries(long fd, visitor *visit, int depth)
{
	char buffer[2048] __attribute__((aligned(8)));
	long size, count = 0;
	bool done = true;
	CALL3(lseek, fd, 0, 0);
	while ((size = CALL3(getdents64, fd, buffer, sizeof buffer)) > 0)
		for (long at = 0; at < size; at += ((struct dirent *)(buffer + at))->length) {
			const char *name = ((struct dirent *)(buffer + at))->name;
			if (equal(name, ".") || equal(name, ".."))
				continue;
			count++;
			done &= visit(fd, name, depth);
		}
	if (size < 0)
		done = complain_of(size);
	return done ? count : -1;
}

/* Visit each path of the command line. What leads to it is opened as usual; its last name is never followed. */
static void visit_paths(char **paths, visitor *visit)
{
	if (!*paths)
		usage();
	for (; *paths; paths++) {
		char *given = *paths;
		unsigned end = length_of(given);
		while (end > 1 && given[end - 1] == '/')
			given[--end] = 0;
		if (given[0] != '/' || end < 2)
			usage();
		char *name = given + end;
		while (name[-1] != '/')
			name--;
		if (equal(name, ".") || equal(name, ".."))
			usage();
		path_length = 0;
		visit(AT_FDCWD, given, 0);
	}
}

/* --- remove ------------------------------------------------------------------------------------------------------ */

static long top; /* the directory that the path of the command line names, and the device it is on */
static unsigned top_major, top_minor;

/* Move a directory that lies too deep up to the top, where the next pass over the top finds it. */
static long lift(long directory, const char *name)
{
	static unsigned serial;
	char target[] = ".lifted-abcdefgh";
	long result;
	do {
		serial++;
		for (int digit = 0; digit < 8; digit++)
			target[8 + digit] = 'a' + (serial >> 4 * digit) % 16;
		result = CALL4(renameat, directory, name, top, target);
	} while (result == -EEXIST || result == -ENOTEMPTY || result == -ENOTDIR);
	return result;
}

static visitor remove_entry;

/* Delete what is in a directory, in passes until one finds nothing: a directory that shrinks may hide entries. */
static bool empty(long fd, const struct statx *st, int depth)
{
	long found;
	if (depth == 0)
		top = fd, top_major = st->dev_major, top_minor = st->dev_minor;
	else if (st->attributes & STATX_ATTR_MOUNT_ROOT || st->dev_major != top_major || st->dev_minor != top_minor)
		return complain("Is a mount point, left alone");
	while ((found = visit_entries(fd, remove_entry, depth + 1)) > 0)
		;
	return found == 0;
}

static bool remove_entry(long directory, const char *name, int depth)
{
	struct statx st;
	unsigned before = push(name);
	bool done = true;
	long fd = enter(directory, name, &st), result = fd;
	if (fd >= 0) {
		if (!is_directory(&st))
			result = CALL3(unlinkat, directory, name, 0);
		else if (depth == DEEPEST)
			result = lift(directory, name);
		else if ((done = empty(fd, &st, depth)))
			result = CALL3(unlinkat, directory, name, AT_REMOVEDIR);
		CALL3(close, fd, 0, 0);
	}
	if (result < 0 && result != -ENOENT)
		done = complain_of(result);
	pop(before);
	return done;
}

/* --- own and chmod ----------------------------------------------------------------------------------------------- */

static long group, mode;
static bool read_only;

/* Set the permissions of what a descriptor stands for; its entry in /proc reaches it whatever its name is by now. */
static long set_mode(long fd, unsigned permissions)
{
	char link[] = "/proc/self/fd/\0\0\0\0\0\0\0\0\0\0", digits[10];
	int count = 0, at = 14;
	do
		digits[count++] = '0' + fd % 10;
	while (fd /= 10);
	while (count)
		link[at++] = digits[--count];
	return CALL3(fchmodat, AT_FDCWD, link, permissions);
}

/*
 * What is below comes first, the directory itself last, so that a directory in order says that all below it is.
 * The bits are those of pkg/volume/volume_linux.go changeFilePermission. They are added to the permissions read
 * before the change of group, which takes away set-user-ID.
 */
static bool own_entry(long directory, const char *name, int depth)
{
	struct statx st;
	unsigned before = push(name);
	bool done = true;
	long fd = enter(directory, name, &st), result = fd;
	if (fd >= 0) {
		unsigned added = read_only ? 0440 : 0660;
		if (is_directory(&st)) {
			added |= S_ISGID | 0110;
			done = depth < DEEPEST ? visit_entries(fd, own_entry, depth + 1) >= 0 : complain("Nested too deeply");
		}
		result = CALL5(fchownat, fd, "", -1, group, AT_EMPTY_PATH);
		if (result == 0 && (st.mode & S_IFMT) != S_IFLNK)
			result = set_mode(fd, (st.mode & 07777) | added);
		CALL3(close, fd, 0, 0);
	}
	if (result < 0 && !(result == -ENOENT && depth > 0))
		done = complain_of(result);
	pop(before);
	return done;
}

static bool chmod_entry(long directory, const char *name, int depth)
{
	struct statx st;
	push(name);
	long fd = enter(directory, name, &st), result = fd;
	if (fd >= 0) {
		if ((st.mode & S_IFMT) == S_IFLNK)
			return complain("Is a symbolic link");
		result = set_mode(fd, mode);
		CALL3(close, fd, 0, 0);
	}
	return result < 0 ? complain_of(result) : true;
}

/* --- kill -------------------------------------------------------------------------------------------------------- */

static void kill_process(char **arguments)
{
	long pid = *arguments ? number_of(*arguments, 10, 0x7fffffff) : -1;
	if (pid < 2 || arguments[1]) /* never process 1, nor what 0 and -1 stand for */
		usage();
	long result = CALL3(kill, pid, SIGKILL, 0);
	push(*arguments);
	if (result < 0 && result != -ESRCH)
		complain_of(result);
}

/* --- connect ----------------------------------------------------------------------------------------------------- */

/* Gives the descriptor or the error. */
static long dial(long family, const void *address, long size)
{
	int on = 1;
	long fd = CALL3(socket, family, SOCK_STREAM, 0);
	if (fd < 0)
		return fd;
	long result = CALL3(connect, fd, address, size);
	if (result < 0) {
		CALL3(close, fd, 0, 0);
		return result;
	}
	CALL5(setsockopt, fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	return fd;
}

/* Copy until there is no more to read, or nobody to write it to. */
static void copy(long from, long to)
{
	static char buffer[32768];
	long size;
	while ((size = CALL3(read, from, buffer, sizeof buffer)) > 0)
		for (long done = 0, written; done < size; done += written)
			if ((written = CALL3(write, to, buffer + done, size - done)) <= 0)
				return;
}

/* One process for each direction: neither may wait for the other. */
static void relay(long fd)
{
	long parent = CALL3(getpid, 0, 0, 0), child = CALL5(clone, SIGCHLD, 0, 0, 0, 0);
	if (child < 0) {
		complain_of(child);
	} else if (child == 0) {
		CALL3(prctl, PR_SET_PDEATHSIG, SIGKILL, 0);
		if (CALL3(getppid, 0, 0, 0) != parent)
			return; /* it had been killed already */
		CALL3(close, 1, 0, 0); /* or the end of the output would be the end of the input too */
		CALL3(close, 2, 0, 0);
		copy(0, fd);
		CALL3(shutdown, fd, SHUT_WR, 0);
	} else {
		copy(fd, 1);
		CALL3(kill, child, SIGKILL, 0);
	}
}

/* A pod's programs may listen on IPv4 or on IPv6. Where both fail, the error of the first is told. */
static void connect_port(char **arguments)
{
	long port = *arguments ? number_of(*arguments, 10, 0xffff) : -1;
	if (port < 1 || arguments[1])
		usage();
	unsigned char high = port >> 8, low = port;
	unsigned char four[16] = { AF_INET, 0, high, low, 127, 0, 0, 1 };
	unsigned char six[28] = { AF_INET6, 0, high, low, [23] = 1 };
	push(*arguments);
	long first = dial(AF_INET, four, sizeof four), fd = first < 0 ? dial(AF_INET6, six, sizeof six) : first;
	if (fd < 0)
		complain_of(first);
	else
		relay(fd);
}

/* --- pause ------------------------------------------------------------------------------------------------------- */

/* Signals are taken from a queue, not by handlers: PID 1 never receives one it neither blocks nor handles. */
static void pause(void)
{
	unsigned long all = ~0ul, wanted = 1ul << (SIGTERM - 1) | 1ul << (SIGINT - 1) | 1ul << (SIGCHLD - 1);
	CALL4(rt_sigprocmask, SIG_SETMASK, &all, 0, sizeof all);
	for (;;) {
		long signal = CALL4(rt_sigtimedwait, &wanted, 0, 0, sizeof wanted);
		if (signal == SIGTERM || signal == SIGINT)
			return;
		while (CALL4(wait4, -1, 0, WNOHANG, 0) > 0)
			;
	}
}

__attribute__((used, noreturn)) static void run(long *stack)
{
	char **arguments = (char **)(stack + 2); /* after argc and argv[0] */
	if (stack[0] < 2) {
		pause();
	} else if (equal(command = *arguments++, "remove")) {
		visit_paths(arguments, remove_entry);
	} else if (equal(command, "own")) {
		if (*arguments && equal(*arguments, "-r"))
			read_only = true, arguments++;
		if (!*arguments || (group = number_of(*arguments++, 10, 0xfffffffe)) < 0)
			usage();
		visit_paths(arguments, own_entry);
	} else if (equal(command, "chmod")) {
		if (!*arguments || (mode = number_of(*arguments++, 8, 07777)) < 0)
			usage();
		visit_paths(arguments, chmod_entry);
	} else if (equal(command, "kill")) {
		kill_process(arguments);
	} else if (equal(command, "connect")) {
		connect_port(arguments);
	} else {
		usage();
	}
	CALL3(exit, failed, 0, 0);
	__builtin_unreachable();
}
