/** Pages of QR codes: one HTML document without scripts, fonts or images from elsewhere, to be printed by any browser. */
import { encodeQR } from "qr";
import { escapeHtml } from "./escape.ts";

/** What is printed on each page with its codes. */
export interface QrDocument {
  readonly title: string;
  /** Names and values, such as `Exported: 2026-11-28T08:00:00Z`. */
  readonly facts: readonly (readonly [name: string, value: string])[];
  /** What to do with the page, one sentence. */
  readonly advice: string;
  readonly texts: readonly string[];
}

/** The codes on a page of A4 or Letter, two in a row. */
const CODES_PER_PAGE = 6;
/** The empty modules around a code (ISO/IEC 18004 section 6.3.8). */
const QUIET_ZONE = 4;

const STYLE = "body{font:9pt/1.3 sans-serif;margin:0}section{break-after:page;padding:0 0 1mm}" +
  "h1{font-size:12pt;margin:0 0 1mm}p{margin:0 0 1mm}dl{margin:0 0 2mm}dt,dd{display:inline;margin:0}" +
  "dd{overflow-wrap:anywhere}dd::after{content:' \\00a0 '}dt{font-weight:bold}" +
  ".codes{display:grid;grid-template-columns:1fr 1fr;gap:2mm 12mm}" +
  "figure{margin:0;break-inside:avoid}svg{display:block;width:66mm;height:66mm}figcaption{font-weight:bold}" +
  "@page{margin:10mm}";

/** Renders codes as a document, six on a page, numbered from 1. */
export function renderQrDocument({ title, facts, advice, texts }: QrDocument): string {
  const pages = Math.ceil(texts.length / CODES_PER_PAGE);
  const head = facts.map(([name, value]) => `<dt>${escapeHtml(name)}:</dt> <dd>${escapeHtml(value)}</dd>`).join("\n");
  const sections = Array.from({ length: pages }, (_, page) => {
    const from = page * CODES_PER_PAGE;
    const codes = texts.slice(from, from + CODES_PER_PAGE).map((text, at) => {
      const caption = `${from + at + 1} of ${texts.length}`;
      return `<figure>${renderQrSvg(text)}<figcaption>${caption}</figcaption></figure>`;
    });
    return [
      `<section><h1>${escapeHtml(title)}, page ${page + 1} of ${pages}</h1>`,
      `<p>${escapeHtml(advice)}</p>`,
      `<dl>${head}</dl>`,
      `<div class="codes">`,
      ...codes,
      `</div></section>`,
    ].join("\n");
  });
  return [
    "<!DOCTYPE html>",
    `<html lang="en"><head><meta charset="utf-8"><title>${
      escapeHtml(title)
    }</title><style>${STYLE}</style></head><body>`,
    ...sections,
    "</body></html>",
    "",
  ].join("\n");
}

/** Renders a code as SVG: one path, with a rectangle for each run of dark modules of a row. */
function renderQrSvg(text: string): string {
  const rows = encodeQR(text, "raw", { ecc: "medium", encoding: "alphanumeric", border: QUIET_ZONE });
  let path = "";
  for (const [y, row] of rows.entries()) {
    for (let x = 0; x < row.length; x++) {
      if (row[x] !== true) continue;
      const from = x;
      while (row[x + 1] === true) x++;
      path += `M${from} ${y}h${x - from + 1}v1h-${x - from + 1}z`;
    }
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${rows.length} ${rows.length}" ` +
    `shape-rendering="crispEdges"><path d="${path}"/></svg>`;
}
