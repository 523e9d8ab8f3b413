/** Writes a bundle as pages of QR codes (`--qr`). */
import { join, resolve } from "node:path";
import type { FilePort } from "../../../client/files.ts";
import { AppError } from "../../../core/errors.ts";
import type { ArmorPart } from "../../../core/lib/armor.ts";
import type { BundleKind } from "../../../core/offline/bundle.ts";
import { encodeQrTexts, MAX_QR_TEXTS } from "../../../core/offline/qr_text.ts";
import type { ExportHeader } from "../../../core/offline/request_bundle.ts";
import { FOLDER_MODE, PUBLIC_MODE } from "../../instance/data_dir.ts";
import type { Io } from "../../io.ts";
import { displayPath } from "../../output/display_path.ts";
import { line } from "../../output/escape.ts";
import { renderQrDocument } from "../../output/qr_pages.ts";

/** The largest number of names on a page. */
const MAX_NAMES = 6;

const WORDS: Readonly<Record<BundleKind, { readonly title: string; readonly reader: string }>> = {
  requests: { title: "Certificate requests", reader: "tlsboot sign FILE, beside the CA" },
  answers: { title: "Certificates", reader: "tlsboot offline import FILE" },
};

/** The bundle to print, and the export that it is or answers. */
export interface PrintedBundle {
  readonly kind: BundleKind;
  readonly parts: readonly ArmorPart[];
  readonly header: Pick<ExportHeader, "id" | "createdAt" | "server">;
}

/** Writes the pages into a folder, and reports the path. Throws AppError `invalid` for a bundle that needs too many codes. */
export async function writeQrPages(
  folder: string,
  { kind, parts, header }: PrintedBundle,
  files: FilePort,
  io: Pick<Io, "cwd" | "stderr">,
): Promise<void> {
  const texts = encodeQrTexts({ kind, parts });
  if (texts === undefined) {
    throw new AppError("invalid", `cannot print the ${kind} as QR codes: they need more than ${MAX_QR_TEXTS}`, {
      hint: "carry them as a file, or export fewer requests at once",
    });
  }
  const { title, reader } = WORDS[kind];
  const names = parts.flatMap(({ headers: { Name } }) => Name ?? []);
  const more = names.length - MAX_NAMES;
  const html = renderQrDocument({
    title,
    facts: [
      ["Server", header.server],
      ["Exported", header.createdAt],
      ["Export", header.id],
      ["For", names.slice(0, MAX_NAMES).join(", ") + (more > 0 ? ` and ${more} more` : "")],
    ],
    advice: `Scan every code into one file FILE, in any order, and give it to ${reader}.`,
    texts,
  });
  const path = join(resolve(io.cwd, folder), `${kind}-${header.id.slice(0, 8)}.html`);
  await files.makeDirectory(resolve(io.cwd, folder), FOLDER_MODE);
  await files.writeAtomic(path, html, PUBLIC_MODE);
  const count = texts.length === 1 ? "1 code" : `${texts.length} codes`;
  io.stderr.write(line`${displayPath(path, io.cwd)}: ${count} to print\n`);
}
