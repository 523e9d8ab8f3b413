import assert from "node:assert/strict";
import { test } from "node:test";
import { createTablePrinter } from "./table.ts";

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
