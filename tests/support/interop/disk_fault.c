/*
 * Makes file calls of one program fail when it is preloaded. It reads the file $DISK_FAULT at each call, so a test can
 * change the file while the program runs. The file has one line:
 *
 *     generation skip count errno short kinds needle
 *
 * `kinds` are letters: o for open for writing, w for write, s for sync, t for truncate, and n for names (rename, link,
 * symlink, unlink, mkdir, rmdir). Among these calls on paths that contain `needle`, or with a trailing $ end with it, the
 * first `skip` succeed and the next `count` fail with `errno`. If `short` is 1, each of these writes half of its bytes
 * instead; if it is 2, only the first does. Each such call is a line in `$DISK_FAULT.hits`.
 */
#include "disk_preload.h"

static long generation = -1, seen = 0;

struct fault {
  long generation, skip, count;
  int error, is_short;
  char kinds[16], needle[256];
};

static int read_fault(const char *control, struct fault *fault) {
  char text[512];
  int fd = syscall(SYS_openat, AT_FDCWD, control, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  ssize_t length = syscall(SYS_read, fd, text, sizeof text - 1);
  syscall(SYS_close, fd);
  if (length <= 0) return 0;
  text[length] = 0;
  return sscanf(text, "%ld %ld %ld %d %d %15s %255s", &fault->generation, &fault->skip, &fault->count, &fault->error,
                &fault->is_short, fault->kinds, fault->needle) == 7;
}

static int matches(const char *path, const char *needle) {
  size_t length = strlen(needle), path_length = strlen(path);
  if (needle[length - 1] != '$') return strstr(path, needle) != NULL;
  return path_length >= length - 1 && strncmp(path + path_length - (length - 1), needle, length - 1) == 0;
}

static void report(const char *control, const struct fault *fault, const char *call, const char *path) {
  char name[PATH_MAX], line[PATH_MAX + 64];
  snprintf(name, sizeof name, "%s.hits", control);
  int length = snprintf(line, sizeof line, "%ld %s %s\n", fault->generation, call, path);
  int fd = syscall(SYS_openat, AT_FDCWD, name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (fd < 0) return;
  syscall(SYS_write, fd, line, length);
  syscall(SYS_close, fd);
}

/* Returns the errno for a call that must fail, else 0. */
static int fails(char kind, const char *call, const char *path, int *is_short) {
  struct fault fault;
  const char *control = getenv("DISK_FAULT");
  int before = errno, result = 0;
  if (control == NULL || path == NULL || strncmp(path, control, strlen(control)) == 0) return 0;
  if (read_fault(control, &fault) && strchr(fault.kinds, kind) != NULL && matches(path, fault.needle)) {
    pthread_mutex_lock(&lock);
    if (generation != fault.generation) {
      generation = fault.generation;
      seen = 0;
    }
    if (seen >= fault.skip && seen < fault.skip + fault.count) result = fault.error;
    if (is_short != NULL) *is_short = fault.is_short == 1 || (fault.is_short == 2 && seen == fault.skip);
    seen++;
    pthread_mutex_unlock(&lock);
    if (result != 0) report(control, &fault, call, path);
  }
  errno = before;
  return result;
}

static int fails_by_fd(char kind, const char *call, int fd, int *is_short) {
  char buffer[PATH_MAX];
  return fails(kind, call, path_of(fd, buffer), is_short);
}

#define REFUSE(error) do { errno = (error); return -1; } while (0)

#define OPEN(name)                                                                                            \
  OPEN_WITH(name,                                                                                             \
    int error = (flags & (O_WRONLY | O_RDWR)) != 0 ? fails('o', #name, path, NULL) : 0;                       \
    if (error != 0) REFUSE(error);                                                                            \
    return REAL(name)(path, flags, mode);)
OPEN(open)
OPEN(open64)

#define WRITE(name, parameters, arguments, half)                                                              \
  ssize_t name parameters {                                                                                   \
    int is_short = 0;                                                                                         \
    int error = fails_by_fd('w', #name, fd, &is_short);                                                       \
    if (error == 0) return REAL(name) arguments;                                                              \
    if (is_short) return REAL(name) half;                                                                     \
    REFUSE(error);                                                                                            \
  }
WRITE(write, (int fd, const void *bytes, size_t length), (fd, bytes, length), (fd, bytes, (length + 1) / 2))
WRITE(pwrite, (int fd, const void *bytes, size_t length, off_t at), (fd, bytes, length, at),
      (fd, bytes, (length + 1) / 2, at))
WRITE(pwrite64, (int fd, const void *bytes, size_t length, off64_t at), (fd, bytes, length, at),
      (fd, bytes, (length + 1) / 2, at))
WRITE(pwritev, (int fd, const struct iovec *parts, int count, off_t at), (fd, parts, count, at), (fd, parts, 1, at))
WRITE(writev, (int fd, const struct iovec *parts, int count), (fd, parts, count), (fd, parts, 1))

#define BY_FD(kind, type, name, parameters, arguments)                                                        \
  type name parameters {                                                                                      \
    int error = fails_by_fd(kind, #name, fd, NULL);                                                           \
    if (error != 0) REFUSE(error);                                                                            \
    return REAL(name) arguments;                                                                              \
  }
BY_FD('s', int, fsync, (int fd), (fd))
BY_FD('s', int, fdatasync, (int fd), (fd))
BY_FD('t', int, ftruncate, (int fd, off_t length), (fd, length))
BY_FD('t', int, ftruncate64, (int fd, off64_t length), (fd, length))

#define BY_PATH(name, parameters, path, arguments)                                                            \
  int name parameters {                                                                                       \
    int error = fails('n', #name, path, NULL);                                                                \
    if (error != 0) REFUSE(error);                                                                            \
    return REAL(name) arguments;                                                                              \
  }
BY_PATH(rename, (const char *from, const char *to), to, (from, to))
BY_PATH(link, (const char *from, const char *to), to, (from, to))
BY_PATH(symlink, (const char *target, const char *path), path, (target, path))
BY_PATH(unlink, (const char *path), path, (path))
BY_PATH(rmdir, (const char *path), path, (path))
BY_PATH(mkdir, (const char *path, mode_t mode), path, (path, mode))
