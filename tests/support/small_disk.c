/* A disk of SMALL_DISK_BYTES, for tests that may not mount one: preloaded into the server, it lets writes
   to files in the folder SMALL_DISK fail with ENOSPC as soon as all files there would grow beyond that.
   A file SMALL_DISK/more-room lifts the limit. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Whether `fd`, a file of the folder, may grow to `end` bytes. */
static int has_room(int fd, long long end) {
  const char* folder = getenv("SMALL_DISK");
  char link[64], path[PATH_MAX];
  struct stat file;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (folder == NULL || length < 0 || fstat(fd, &file) != 0) return 1;
  path[length] = 0;
  if (strncmp(path, folder, strlen(folder)) != 0 || !S_ISREG(file.st_mode)) return 1;
  long long used = end > file.st_size ? end - file.st_size : 0;
  if (used == 0) return 1;
  DIR* directory = opendir(folder);
  if (directory == NULL) return 1;
  int lifted = 0;
  for (struct dirent* entry = readdir(directory); entry != NULL; entry = readdir(directory)) {
    struct stat other;
    if (strcmp(entry->d_name, "more-room") == 0) lifted = 1;
    if (fstatat(dirfd(directory), entry->d_name, &other, 0) == 0 && S_ISREG(other.st_mode)) used += other.st_size;
  }
  closedir(directory);
  return lifted || used <= atoll(getenv("SMALL_DISK_BYTES"));
}

ssize_t pwrite64(int fd, const void* bytes, size_t size, off64_t at) {
  static ssize_t (*next)(int, const void*, size_t, off64_t);
  if (next == NULL) *(void**)&next = dlsym(RTLD_NEXT, "pwrite64");
  if (!has_room(fd, at + (long long)size)) return errno = ENOSPC, -1;
  return next(fd, bytes, size, at);
}

int ftruncate64(int fd, off64_t size) {
  static int (*next)(int, off64_t);
  if (next == NULL) *(void**)&next = dlsym(RTLD_NEXT, "ftruncate64");
  if (!has_room(fd, size)) return errno = ENOSPC, -1;
  return next(fd, size);
}
