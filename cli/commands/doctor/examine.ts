/** What the examinations of `tlsboot doctor` share: their adapters, their results, and the certificates they read. */
import type { FilePort } from "../../../client/files.ts";
import type { Connect } from "../../../client/transport/connect.ts";
import type { Finding } from "../../../core/doctor/finding.ts";
import type { SeenCertificate } from "../../../core/doctor/textfile.ts";
import type { Io } from "../../io.ts";
import { displayPath } from "../../output/display_path.ts";

/** The adapters of an examination. Nothing is changed. */
export interface ExamineDeps {
  readonly io: Io;
  readonly files: FilePort;
  readonly connect: Connect;
}

/** The results of one examination. */
export interface Examined {
  readonly findings: readonly Finding[];
  readonly certificates: readonly SeenCertificate[];
  /** The files that should hold certificates but could not be read. */
  readonly unreadable: readonly string[];
}

/** An examination without results, to which others are added. */
export const NOTHING_EXAMINED: Examined = { findings: [], certificates: [], unreadable: [] };

/** Joins the results of several examinations. */
export function joinExamined(all: readonly Examined[]): Examined {
  return {
    findings: all.flatMap(({ findings }) => findings),
    certificates: all.flatMap(({ certificates }) => certificates),
    unreadable: all.flatMap(({ unreadable }) => unreadable),
  };
}

/** Returns a path as messages show it. */
export function showPath(path: string, { io }: Pick<ExamineDeps, "io">): string {
  return displayPath(path, io.cwd);
}
