/**
 * The keys whose exports a CA without a network signs, in a file next to its issued log. A key is trusted from the first
 * answer on, for which it has to be named.
 */
import type { FilePort } from "../../../client/files.ts";
import { AppError } from "../../../core/errors.ts";
import { formatTime } from "../../../core/kube/meta.ts";
import type { ExportOrigin } from "../../../core/offline/bundle.ts";
import { SECRET_MODE } from "../../../instance/data_dir.ts";

export interface TrustedExporters {
  /**
   * Checks that the key of an export is trusted, or named now. Throws AppError `csr_denied` for an unknown key, and for one
   * that is not the one named.
   */
  check(origin: ExportOrigin, named: string | undefined): Promise<void>;
  /** Trusts the key of an export from now on. */
  add(origin: ExportOrigin, now: Date): Promise<void>;
}

/** Opens the keys next to an issued log. */
export function openTrustedExporters(issuedLog: string, files: FilePort): TrustedExporters {
  const path = `${issuedLog.replace(/\.jsonl$/, "")}.exporters`;

  async function read(): Promise<string> {
    return await files.readText(path) ?? "";
  }

  async function isTrusted(pin: string): Promise<boolean> {
    return (await read()).split("\n").some((text) => text.split(" ")[0] === pin);
  }

  return {
    async check({ exporter, server, createdAt }, named) {
      if (named === undefined ? await isTrusted(exporter) : named === exporter) return;
      const other = named === undefined ? "is not trusted here" : "is not the one that --trust-exporter names";
      throw new AppError(
        "csr_denied",
        `cannot sign the requests of ${server}, exported at ${createdAt}: the key ${exporter} signed them, which ${other}`,
        {
          hint: named === undefined
            ? "ask the operator of that server for the key, as its first tlsboot offline export printed it; if it is the same: " +
              `--trust-exporter ${exporter}`
            : "compare the key with the one that tlsboot offline export printed",
        },
      );
    },
    async add({ exporter, server }, now) {
      if (await isTrusted(exporter)) return;
      const text = await read();
      await files.writeAtomic(path, `${text}${exporter} ${formatTime(now)} ${encodeURI(server)}\n`, SECRET_MODE);
    },
  };
}
