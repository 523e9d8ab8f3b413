import assert from "node:assert/strict";
import { test } from "node:test";
import { createTablePrinter } from "./table_printer.ts";
import { createStyle, type Style } from "./layout.ts";

const columns = [{ name: "Name" }, { name: "Age" }, { name: "Detail", priority: 1 }];

test("createTablePrinter() prints kubectl's columns", () => {
  const printer = createTablePrinter({ isWide: false });
  assert.equal(
    printer.print(columns, [{ cells: ["n1", "5s", "x"] }, { cells: ["longer", "10m", "y"] }]),
    "NAME     AGE\nn1       5s\nlonger   10m\n",
  );
});

test("createTablePrinter() shows low priority columns when wide", () => {
  const printer = createTablePrinter({ isWide: true });
  assert.equal(printer.print(columns, [{ cells: ["n1", "5s", null] }]), "NAME   AGE   DETAIL\nn1     5s    <none>\n");
});

test("createTablePrinter() keeps heading and widths over a watch", () => {
  const printer = createTablePrinter({ isWide: false });
  printer.print(columns, [{ cells: ["longer-name", "5s", ""] }]);
  assert.equal(printer.print([], [{ cells: ["n", "6s", ""] }]), "n             6s\n");
});

test("createTablePrinter() cuts cells at line breaks and shows control characters", () => {
  const printer = createTablePrinter({ isWide: false, hasHeader: false });
  assert.equal(printer.print(columns, [{ cells: ["a\nb", "\x1b[31mred"] }]), "a...   ^[[31mred\n");
});

const fitted = [
  { name: "Name" },
  { name: "For", minWidth: 8 },
  { name: "Signer", minWidth: 10 },
  { name: "State", paint: (cell: string, { red }: Style) => cell === "denied" ? red(cell) : cell },
];
const cells = ["csr-abcde", "node with-a-long-name", "example.com/signer", "denied"];

for (
  const { width, want } of [
    { width: undefined, want: "csr-abcde   node with-a-long-name   example.com/signer   denied" },
    { width: 63, want: "csr-abcde   node with-a-long-name   example.com/signer   denied" },
    { width: 62, want: "csr-abcde  node with-a-long-name  example.com/signer  denied" },
    { width: 50, want: "csr-abcde  node with-a-lo…  example.com/s…  denied" },
    // Below the narrowest readable widths the terminal breaks the line.
    { width: 20, want: "csr-abcde  node wi…  example.c…  denied" },
  ]
) {
  test(`createTablePrinter() fits a table to ${width ?? "no"} columns`, () => {
    const printer = createTablePrinter({ isWide: false, hasHeader: false, fitTo: () => width });
    const line = printer.print(fitted, [{ cells }]).trimEnd();
    assert.equal(line, want);
    if (width !== undefined && width >= 50) assert.ok(line.length <= width);
  });
}

test("createTablePrinter() colours cells but not their padding, and no heading", () => {
  const style = createStyle({ write: () => {}, isTerminal: true, columns: 80 }, {});
  const columns = [fitted[3]!, { name: "Last" }];
  assert.equal(
    createTablePrinter({ isWide: false, style }).print(columns, [{ cells: ["denied", "x"] }]),
    "STATE    LAST\n\x1b[31mdenied\x1b[0m   x\n",
  );
});
