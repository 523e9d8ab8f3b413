/** Paths as text: core has no access to the file system, and the paths of a kubeconfig need no more than this. */

/** Joins a relative path to `baseDir` as Go's `filepath.Join` does; an absolute path is returned as it is. */
export function joinPath(baseDir: string, path: string): string {
  return isAbsolutePath(path) ? path : cleanPath(`${baseDir}/${path}`);
}

/** Reports whether a path is absolute: `/a`, `C:\a`, `C:/a` and `\\server\share` are. */
export function isAbsolutePath(path: string): boolean {
  return /^(?:\/|[A-Za-z]:[\\/]|\\\\)/.test(path);
}

/** Drops `.` and empty parts, and each `..` together with the part before it. */
function cleanPath(path: string): string {
  // Only a drive or a share makes a Windows path: elsewhere a backslash is an ordinary character.
  const isWindows = /^(?:[A-Za-z]:[\\/]|\\\\)/.test(path);
  const root = /^(?:[A-Za-z]:[\\/]|\\\\|\/)/.exec(path)?.[0] ?? "";
  const kept: string[] = [];
  for (const part of path.slice(root.length).split(isWindows ? /[\\/]+/ : /\/+/)) {
    if (part === "" || part === ".") continue;
    if (part !== "..") kept.push(part);
    else if (kept.length > 0 && kept.at(-1) !== "..") kept.pop();
    else if (root === "") kept.push(part);
  }
  return root + kept.join(isWindows ? "\\" : "/") || ".";
}
