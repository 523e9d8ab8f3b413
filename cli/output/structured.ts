/** Answers of our own commands as JSON or YAML. */
import type { Io } from "../io.ts";
import { formatJson, sortKeys } from "./json.ts";

/** Prints facts on stdout as JSON or YAML. */
export async function writeStructured(facts: unknown, format: "json" | "yaml", io: Pick<Io, "stdout">): Promise<void> {
  if (format === "json") {
    io.stdout.write(formatJson(facts));
    return;
  }
  const { formatYaml } = await import("../../core/lib/yaml/format.ts");
  io.stdout.write(formatYaml(sortKeys(facts)));
}
