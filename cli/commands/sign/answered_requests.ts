/**
 * The answers that a CA without a network has given, in a folder next to its issued log. Each request is answered once, also
 * when the stick was full or the program was killed: the answer is kept before the certificate is recorded, and given out
 * after that.
 */
import { join } from "node:path";
import type { FilePort } from "../../../client/files.ts";
import { FOLDER_MODE, SECRET_MODE } from "../../../instance/data_dir.ts";

export interface AnsweredRequests {
  /** Finds the text of the answer to a request by the request's id; it may be given out again. */
  find(id: string): Promise<string | undefined>;
  /** Keeps an answer, and records its certificate with `record`; the answer may be given out then. */
  keep(id: string, answer: string, record: () => Promise<void>): Promise<void>;
  /** Replaces the answer that is given out from now on; the certificate in it is the same. */
  replace(id: string, answer: string): Promise<void>;
  /**
   * Completes the answer of a run that was killed between keeping and recording, after `record` has recorded what of it is
   * not in the log. Undefined when there is none.
   */
  complete(id: string, record: (answer: string) => Promise<void>): Promise<string | undefined>;
}

/** Opens the answers next to an issued log; the folder is created with the first one. */
export function openAnsweredRequests(issuedLog: string, files: FilePort): AnsweredRequests {
  const folder = `${issuedLog.replace(/\.jsonl$/, "")}.answers`;
  const given = (id: string): string => join(folder, `${id}.pem`);
  const unrecorded = (id: string): string => join(folder, `${id}.unrecorded`);
  return {
    find: (id) => files.readText(given(id)),
    async keep(id, answer, record) {
      await files.makeDirectory(folder, FOLDER_MODE);
      await files.writeAtomic(unrecorded(id), answer, SECRET_MODE);
      await record();
      await files.rename(unrecorded(id), given(id));
    },
    replace: (id, answer) => files.writeAtomic(given(id), answer, SECRET_MODE),
    async complete(id, record) {
      const answer = await files.readText(unrecorded(id));
      if (answer === undefined) return undefined;
      await record(answer);
      await files.rename(unrecorded(id), given(id));
      return answer;
    },
  };
}
