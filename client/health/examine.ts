/** What the examinations of machines and servers share: their adapters, and their results. */
import type { Finding, SeenCertificate } from "../../core/report/health/finding.ts";
import type { Clock, Logger, Random } from "../../core/ports.ts";
import type { FilePort } from "../files.ts";
import type { Connect } from "../transport/connect.ts";

/** The adapters of an examination. Nothing is changed. */
export interface ExamineDeps {
  readonly files: FilePort;
  readonly connect: Connect;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The folder that names of files are relative to. */
  readonly cwd: string;
  /** Returns a path as messages show it. */
  readonly show: (path: string) => string;
}

/** The results of one examination. */
export interface Examined {
  readonly findings: readonly Finding[];
  readonly certificates?: readonly SeenCertificate[];
  /** The files that should hold certificates but could not be read. */
  readonly unreadable?: readonly string[];
}
