/*
 * Records the file calls of one program when it is preloaded. It appends each call that changes something below the folder
 * $DISK_RECORD_ROOT to the file $DISK_RECORD, in order. A record is a line followed by its three texts:
 *
 *     kind inode a b length length length\n text text text
 *
 *     c created file: a mode; path         d created folder: a mode; path      l link: from, to
 *     r rename: from, to                   y symbolic link: target, path       u unlink, k rmdir: path
 *     w write: a offset; data third        t truncate: a length                m mode: a mode
 *     s sync begins, e sync has succeeded: a number of the sync, b process id
 *
 * A sync first waits for $DISK_RECORD_SYNC_MS, so that a test notices a program that answers before the sync ends.
 */
#include "disk_preload.h"

static long syncs = 0;

static int is_recorded(const char *path) {
  const char *root = getenv("DISK_RECORD_ROOT");
  if (root == NULL || getenv("DISK_RECORD") == NULL || path == NULL) return 0;
  size_t length = strlen(root);
  return strncmp(path, root, length) == 0 && (path[length] == '/' || path[length] == 0);
}

/* Aborts if the record cannot be written, because an incomplete record is useless. */
static void put(char kind, long inode, long a, long b, const char *one, const char *two, const struct iovec *data,
                int count, size_t bytes) {
  static int log = -1;
  int before = errno;
  if (log < 0) log = syscall(SYS_openat, AT_FDCWD, getenv("DISK_RECORD"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  char head[128];
  size_t first = one == NULL ? 0 : strlen(one), second = two == NULL ? 0 : strlen(two);
  int length = snprintf(head, sizeof head, "%c %ld %ld %ld %zu %zu %zu\n", kind, inode, a, b, first, second, bytes);
  size_t size = length + first + second + bytes, at = length + first + second;
  char *record = malloc(size);
  memcpy(record, head, length);
  if (first > 0) memcpy(record + length, one, first);
  if (second > 0) memcpy(record + length + first, two, second);
  for (int part = 0; part < count && at < size; part++) {
    size_t share = data[part].iov_len < size - at ? data[part].iov_len : size - at;
    memcpy(record + at, data[part].iov_base, share);
    at += share;
  }
  if (syscall(SYS_write, log, record, size) != (ssize_t)size) abort();
  free(record);
  errno = before;
}

static void put_names(char kind, const char *one, const char *two) { put(kind, 0, 0, 0, one, two, NULL, 0, 0); }

/* Returns the inode of a recorded file or folder, else 0. */
static long recorded_inode(int fd) {
  char buffer[PATH_MAX];
  struct stat found;
  int before = errno;
  const char *path = path_of(fd, buffer);
  long inode = is_recorded(path) && fstat(fd, &found) == 0 ? (long)found.st_ino : 0;
  errno = before;
  return inode;
}

static long inode_at(const char *path) {
  struct stat found;
  int before = errno;
  long inode = lstat(path, &found) == 0 ? (long)found.st_ino : 0;
  errno = before;
  return inode;
}

static int record_open(int (*real)(const char *, int, ...), const char *path, int flags, mode_t mode) {
  if (!is_recorded(path) || (flags & (O_CREAT | O_TRUNC)) == 0) return real(path, flags, mode);
  pthread_mutex_lock(&lock);
  int is_new = inode_at(path) == 0;
  int fd = real(path, flags, mode);
  struct stat found;
  if (fd >= 0 && fstat(fd, &found) == 0) {
    if (is_new) put('c', found.st_ino, found.st_mode & 07777, 0, path, NULL, NULL, 0, 0);
    else if ((flags & O_TRUNC) != 0) put('t', found.st_ino, 0, 0, NULL, NULL, NULL, 0, 0);
  }
  pthread_mutex_unlock(&lock);
  return fd;
}

OPEN_WITH(open, return record_open(REAL(open), path, flags, mode);)
OPEN_WITH(open64, return record_open(REAL(open64), path, flags, mode);)

/* `at` is the offset of the write. If the call has none, it is computed after the write. */
#define WRITE(name, parameters, arguments, at, parts, count)                                                  \
  ssize_t name parameters {                                                                                   \
    long inode = recorded_inode(fd);                                                                          \
    if (inode == 0) return REAL(name) arguments;                                                              \
    pthread_mutex_lock(&lock);                                                                                \
    ssize_t done = REAL(name) arguments;                                                                      \
    if (done > 0) put('w', inode, at, 0, NULL, NULL, parts, count, done);                                     \
    pthread_mutex_unlock(&lock);                                                                              \
    return done;                                                                                              \
  }
#define ONE (&(struct iovec){(void *)bytes, length})
#define HERE (lseek(fd, 0, SEEK_CUR) - done)
WRITE(write, (int fd, const void *bytes, size_t length), (fd, bytes, length), HERE, ONE, 1)
WRITE(writev, (int fd, const struct iovec *parts, int count), (fd, parts, count), HERE, parts, count)
WRITE(pwrite, (int fd, const void *bytes, size_t length, off_t at), (fd, bytes, length, at), at, ONE, 1)
WRITE(pwrite64, (int fd, const void *bytes, size_t length, off64_t at), (fd, bytes, length, at), at, ONE, 1)
WRITE(pwritev, (int fd, const struct iovec *parts, int count, off_t at), (fd, parts, count, at), at, parts, count)
WRITE(pwritev64, (int fd, const struct iovec *parts, int count, off64_t at), (fd, parts, count, at), at, parts, count)

#define SYNC(name)                                                                                            \
  int name(int fd) {                                                                                          \
    long inode = recorded_inode(fd);                                                                          \
    if (inode == 0) return REAL(name)(fd);                                                                    \
    const char *delay = getenv("DISK_RECORD_SYNC_MS");                                                        \
    pthread_mutex_lock(&lock);                                                                                \
    long number = ++syncs;                                                                                    \
    put('s', inode, number, getpid(), NULL, NULL, NULL, 0, 0);                                                \
    pthread_mutex_unlock(&lock);                                                                              \
    if (delay != NULL) usleep(atoi(delay) * 1000);                                                            \
    int failed = REAL(name)(fd);                                                                              \
    pthread_mutex_lock(&lock);                                                                                \
    if (!failed) put('e', inode, number, getpid(), NULL, NULL, NULL, 0, 0);                                   \
    pthread_mutex_unlock(&lock);                                                                              \
    return failed;                                                                                            \
  }
SYNC(fsync)
SYNC(fdatasync)

#define BY_FD(name, parameters, arguments, kind, value)                                                       \
  int name parameters {                                                                                       \
    long inode = recorded_inode(fd);                                                                          \
    if (inode == 0) return REAL(name) arguments;                                                              \
    pthread_mutex_lock(&lock);                                                                                \
    int failed = REAL(name) arguments;                                                                        \
    if (!failed) put(kind, inode, value, 0, NULL, NULL, NULL, 0, 0);                                          \
    pthread_mutex_unlock(&lock);                                                                              \
    return failed;                                                                                            \
  }
BY_FD(ftruncate, (int fd, off_t length), (fd, length), 't', length)
BY_FD(ftruncate64, (int fd, off64_t length), (fd, length), 't', length)
BY_FD(fchmod, (int fd, mode_t mode), (fd, mode), 'm', mode)

#define BY_PATH(name, parameters, arguments, where, recorded)                                                 \
  int name parameters {                                                                                       \
    if (!is_recorded(where)) return REAL(name) arguments;                                                     \
    pthread_mutex_lock(&lock);                                                                                \
    int failed = REAL(name) arguments;                                                                        \
    if (!failed) recorded;                                                                                    \
    pthread_mutex_unlock(&lock);                                                                              \
    return failed;                                                                                            \
  }
BY_PATH(rename, (const char *from, const char *to), (from, to), to, put_names('r', from, to))
BY_PATH(link, (const char *from, const char *to), (from, to), to, put_names('l', from, to))
BY_PATH(symlink, (const char *target, const char *path), (target, path), path, put_names('y', target, path))
BY_PATH(unlink, (const char *path), (path), path, put_names('u', path, NULL))
BY_PATH(rmdir, (const char *path), (path), path, put_names('k', path, NULL))
BY_PATH(mkdir, (const char *path, mode_t mode), (path, mode), path,
        put('d', inode_at(path), mode, 0, path, NULL, NULL, 0, 0))
BY_PATH(chmod, (const char *path, mode_t mode), (path, mode), path,
        put('m', inode_at(path), mode, 0, NULL, NULL, NULL, 0, 0))
