/** Reads printed QR codes from their pixels with ZXing, the library behind many scanners. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { prepareZXingModule, readBarcodes } from "zxing-wasm/reader";

/** The pixels for each module; a camera often has fewer. */
const SCALE = 3;

/** Draws every code of a document and returns the texts that ZXing reads, in the order of the document. */
export async function readBarcodesFromSvgPages(html: string): Promise<readonly string[]> {
  const wasm = await readFile("node_modules/zxing-wasm/dist/reader/zxing_reader.wasm");
  prepareZXingModule({ overrides: { wasmBinary: Uint8Array.from(wasm).buffer } });
  const texts: string[] = [];
  for (const [svg] of html.matchAll(/<svg .*?<\/svg>/gs)) {
    const [found, ...more] = await readBarcodes(draw(svg), { formats: ["QRCode"] });
    assert.ok(found !== undefined && more.length === 0, "one code is found in each picture");
    texts.push(found.text);
  }
  return texts;
}

/** Draws a picture of rectangles as RGBA pixels. */
function draw(svg: string): ImageData {
  const [, size = "0"] = /viewBox="0 0 (\d+) \d+"/.exec(svg) ?? [];
  const side = Number(size) * SCALE;
  const data = new Uint8ClampedArray(side * side * 4).fill(255);
  for (const [, left, top, width] of svg.matchAll(/M(\d+) (\d+)h(\d+)v1h-\d+z/g)) {
    for (let y = Number(top) * SCALE; y < (Number(top) + 1) * SCALE; y++) {
      for (let x = Number(left) * SCALE; x < (Number(left) + Number(width)) * SCALE; x++) {
        data.fill(0, (y * side + x) * 4, (y * side + x) * 4 + 3);
      }
    }
  }
  return { data, width: side, height: side, colorSpace: "srgb" } as ImageData;
}
