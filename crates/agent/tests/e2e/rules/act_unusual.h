/* The part of act.c that does usual things in unusual ways. */
static void *read_in_thread(void *path)
{
	read_file(path);
	return NULL;
}

static void *run_in_thread(void *command)
{
	execvp(*(char **)command, command);
	perror(*(char **)command);
	exit(127);
}

static void in_thread(void *(*what)(void *), void *with)
{
	pthread_t thread;

	must(-pthread_create(&thread, NULL, what, with), "pthread_create");
	pthread_join(thread, NULL);
}

/* Reads as a child of its parent's, a brother of this process. */
static void read_as_brother(const char *path)
{
	long pid = syscall(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0);

	must(pid, "clone");
	if (pid == 0) {
		read_file(path);
		_exit(0);
	}
	sleep(1);
}

static void run_by_vfork(char **command)
{
	pid_t pid = vfork();

	if (pid == 0) {
		execv(command[0], command);
		_exit(127);
	}
	must(pid, "vfork");
	waitpid(pid, NULL, 0);
}

/* Puts `path` where it is from a file that had no name. */
static void write_nameless(const char *folder, const char *path)
{
	int file = open(folder, O_TMPFILE | O_WRONLY, 0644);
	char descriptor[64];

	must(file, folder);
	must(write(file, "x", 1), "write");
	snprintf(descriptor, sizeof(descriptor), "/proc/self/fd/%d", file);
	must(linkat(AT_FDCWD, descriptor, AT_FDCWD, path, AT_SYMLINK_FOLLOW), path);
}

/* Reads by a descriptor that only stands for the file. */
static void reopen(const char *path)
{
	char descriptor[64];
	int file = open(path, O_PATH);

	must(file, path);
	snprintf(descriptor, sizeof(descriptor), "/proc/self/fd/%d", file);
	read_file(descriptor);
}

static void read_in_folder(const char *folder, const char *name)
{
	char bytes[64];
	int at = open(folder, O_PATH | O_DIRECTORY);

	must(at, folder);
	must(read(openat(at, name, O_RDONLY), bytes, sizeof(bytes)), name);
}

/* Writes by a mapping of the file. */
static void write_mapped(const char *path)
{
	int file = open(path, O_RDWR | O_CREAT, 0644);
	char *bytes;

	must(file, path);
	must(ftruncate(file, 1), path);
	bytes = mmap(NULL, 1, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	must(bytes == MAP_FAILED ? -1 : 0, "mmap");
	*bytes = 'x';
}

/* Runs this program by that many names of its own. */
static void run_by_names(const char *folder, int count)
{
	for (int i = 0; i < count; i++) {
		char path[256], *args[] = { path, NULL };

		snprintf(path, sizeof(path), "%s/%c%c%c%c", folder, 'a' + i % 20, 'a' + i / 20 % 20, 'a' + i / 400 % 20,
			 'a' + i / 8000);
		must(symlink("/act/act", path), path);
		run_by_vfork(args);
	}
}

/* Adds a request to a ring, of which there is none other under way, and waits for its result. */
static int request(int ring, uint8_t *shared, struct io_uring_sqe *requests, struct io_uring_params *params,
		   struct io_uring_sqe what)
{
	static uint32_t sent;
	struct io_uring_cqe *results = (void *)(shared + params->cq_off.cqes);
	uint32_t *tail = (void *)(shared + params->sq_off.tail), *head = (void *)(shared + params->cq_off.head);
	bool polls = params->flags & IORING_SETUP_SQPOLL;
	int result;

	requests[0] = what;
	((uint32_t *)(shared + params->sq_off.array))[sent & (params->sq_entries - 1)] = 0;
	__atomic_store_n(tail, ++sent, __ATOMIC_RELEASE);
	must(syscall(SYS_io_uring_enter, ring, !polls, 1, IORING_ENTER_GETEVENTS | (polls ? IORING_ENTER_SQ_WAKEUP : 0),
		     NULL, 0),
	     "io_uring_enter");
	result = results[*head & (params->cq_entries - 1)].res;
	__atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
	return result;
}

/* Opens and reads a file by io_uring: requests are submitted by calls, or by the kernel's thread. */
static void read_by_ring(const char *submission, const char *path)
{
	struct io_uring_params params = { .flags = strcmp(submission, "calls") ? IORING_SETUP_SQPOLL : 0 };
	int ring = syscall(SYS_io_uring_setup, 4, &params), file;
	const int both = PROT_READ | PROT_WRITE;
	struct io_uring_sqe *requests;
	uint8_t *shared;
	char bytes[16];

	must(ring, "io_uring_setup");
	shared = mmap(NULL, 4096, both, MAP_SHARED | MAP_POPULATE, ring, IORING_OFF_SQ_RING);
	requests = mmap(NULL, 4096, both, MAP_SHARED | MAP_POPULATE, ring, IORING_OFF_SQES);
	file = request(ring, shared, requests, &params,
		       (struct io_uring_sqe){ .opcode = IORING_OP_OPENAT, .fd = AT_FDCWD, .addr = (uintptr_t)path });
	must(file, path);
	must(request(ring, shared, requests, &params,
		     (struct io_uring_sqe){
			     .opcode = IORING_OP_READ, .fd = file, .addr = (uintptr_t)bytes, .len = sizeof(bytes) }),
	     path);
}
