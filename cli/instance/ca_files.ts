/** The file access of a CA source, over the file port. */
import { AppError } from "../../core/errors.ts";
import type { FilePort } from "../../client/files.ts";
import { isWindowsMode } from "../../client/private_file.ts";
import type { CaFiles } from "../../controllers/ca_provider.ts";

/** Creates access to files and their modes. A missing file is AppError `io`. */
export function createCaFiles(files: FilePort): CaFiles {
  return {
    async read(path) {
      const text = await files.readText(path);
      if (text === undefined) throw new AppError("io", `open ${path}: no such file or directory`);
      return text;
    },
    async mode(path) {
      const mode = (await files.stat(path))?.mode ?? 0;
      return isWindowsMode(mode) ? 0 : mode;
    },
  };
}
