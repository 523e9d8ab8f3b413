/** The checks of files and folders: who may read secrets, and who may replace them. */
import { shellWord } from "../../lib/shell_word.ts";
import type { Fault } from "./finding.ts";

/** A file that holds a private key or a token. */
export interface SecretFile {
  /** The path as it is shown. */
  readonly path: string;
  /** Why the file is not private, for example because others may read it; undefined when it is private. */
  readonly fault: string | undefined;
  /** The folder of the file, whose owner the file should have too; undefined when it has a right owner. */
  readonly ownerOf: string | undefined;
}

/** Which users may write to a folder, apart from its owner. */
export type FolderWriters = "none" | "group" | "every user";

export interface SecretFolder {
  /** The path as it is shown. */
  readonly path: string;
  readonly writers: FolderWriters;
}

/** Reports secrets that other users can read, or that belong to another user. */
export function checkSecretFiles(secrets: readonly SecretFile[]): readonly Fault[] {
  return secrets.flatMap(({ path, fault, ownerOf }): readonly Fault[] => {
    if (fault === undefined) return [];
    const word = shellWord(path);
    return [{
      severity: "error",
      message: `the secret in "${path}" is not private: ${fault}; replace it if someone else may have read it`,
      fix: ownerOf === undefined
        ? `chmod 600 ${word}`
        : `chown --reference=${shellWord(ownerOf)} ${word} && chmod 600 ${word}`,
    }];
  });
}

/** Reports folders in which other users can replace a secret. A group is only a warning: volumes of containers have one. */
export function checkSecretFolders(folders: readonly SecretFolder[]): readonly Fault[] {
  return folders.flatMap(({ path, writers }): readonly Fault[] => {
    if (writers === "none") return [];
    const isOpen = writers === "every user";
    return [{
      severity: isOpen ? "error" : "warning",
      message: `${isOpen ? "every user" : "the group"} may write to "${path}", and so put another key there`,
      fix: `chmod go-w ${shellWord(path)}`,
    }];
  });
}
