/** Pages to print: one description gives a text for a line printer or a terminal, and HTML for a browser. */
import { escapeUnseen } from "../../core/lib/printable.ts";
import { wrapWords } from "./wrap.ts";

/** A part of a page. */
export type PageBlock =
  | { readonly kind: "text"; readonly text: string }
  /** Names and values, such as `Needed: 2 of 3`. */
  | { readonly kind: "facts"; readonly rows: readonly (readonly [name: string, value: string])[] }
  /** Lines that are typed or compared character by character. */
  | { readonly kind: "code"; readonly lines: readonly string[] }
  /** Empty lines, each for something that is written by hand. */
  | { readonly kind: "blanks"; readonly labels: readonly string[] };

/** A page with its title. */
export interface Page {
  readonly title: string;
  readonly blocks: readonly PageBlock[];
}

const WIDTH = 78;
const BLANK = "_".repeat(32);

/** Renders a page as text of at most 78 columns; longer values are not broken. */
export function renderPageText({ title, blocks }: Page): string {
  const parts = blocks.map((block) => renderBlock(block));
  return `${clean(title)}\n${"=".repeat(clean(title).length)}\n\n${parts.join("\n\n")}\n`;
}

function renderBlock(block: PageBlock): string {
  switch (block.kind) {
    case "text":
      return wrapWords(clean(block.text), WIDTH).join("\n");
    case "facts": {
      const width = Math.max(...block.rows.map(([name]) => name.length)) + 3;
      return block.rows.map(([name, value]) => `${`${name}:`.padEnd(width)}${clean(value)}`).join("\n");
    }
    case "code":
      return block.lines.map((text) => clean(text)).join("\n");
    case "blanks":
      return block.labels.map((label) => `${clean(label).padEnd(WIDTH - BLANK.length)}${BLANK}`).join("\n\n");
  }
}

/** Values are names that users chose: nothing in them may start another line, or be invisible. */
function clean(text: string): string {
  return escapeUnseen(text.trimEnd().replace(/[\r\n\t]+/g, " "));
}

const STYLE = "body{font:12pt/1.4 sans-serif;max-width:44em;margin:2em auto;padding:0 1em}" +
  "h1{font-size:16pt;border-bottom:2px solid}" +
  "th{text-align:left;vertical-align:top;padding-right:1.5em;white-space:nowrap}" +
  "td{white-space:pre-wrap;overflow-wrap:anywhere}" +
  "pre{font:14pt/1.7 monospace;border:1px solid;padding:.5em 1em;white-space:pre-wrap;overflow-wrap:anywhere}" +
  ".blank{display:flex;gap:1em;margin-top:2.2em}.blank i{flex:1;border-bottom:1px solid}" +
  "tr,pre,.blank{break-inside:avoid}@page{margin:2cm}";

/** Renders a page as one HTML document without scripts, fonts or images, which any browser prints without a network. */
export function renderPageHtml({ title, blocks }: Page): string {
  return [
    `<!DOCTYPE html>`,
    `<html lang="en"><head><meta charset="utf-8"><title>${html(title)}</title><style>${STYLE}</style></head><body>`,
    `<h1>${html(title)}</h1>`,
    ...blocks.map(renderHtmlBlock),
    `</body></html>`,
    "",
  ].join("\n");
}

function renderHtmlBlock(block: PageBlock): string {
  switch (block.kind) {
    case "text":
      return `<p>${html(block.text)}</p>`;
    case "facts": {
      const rows = block.rows.map(([name, value]) => `<tr><th>${html(name)}</th><td>${html(value)}</td></tr>`);
      return `<table>${rows.join("\n")}</table>`;
    }
    case "code":
      return `<pre>${block.lines.map(html).join("\n")}</pre>`;
    case "blanks":
      return block.labels.map((label) => `<div class="blank"><span>${html(label)}</span><i></i></div>`).join("\n");
  }
}

const ENTITIES: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };

function html(text: string): string {
  return clean(text).replace(/[&<>"]/g, (character) => ENTITIES[character] ?? character);
}
