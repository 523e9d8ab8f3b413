/** A file system that simulates a kill of the process: after a number of changes nothing more happens. */
import type { FilePort } from "../../client/files.ts";

/** The error that represents the kill. */
export class Killed extends Error {}

const CHANGES = ["writeAtomic", "createExclusive", "symlink", "rename", "unlink", "makeDirectory"] as const;

/** Lets `changes` changing calls through, then throws `Killed` from each. */
export function createDyingFiles(files: FilePort, changes: number): FilePort {
  let left = changes;
  const dying = CHANGES.map((name) => [
    name,
    (...args: readonly unknown[]) => {
      if (left-- <= 0) return Promise.reject(new Killed(`killed before ${name}`));
      return (files[name] as (...args: readonly unknown[]) => Promise<void>)(...args);
    },
  ]);
  return { ...files, ...Object.fromEntries(dying) };
}
