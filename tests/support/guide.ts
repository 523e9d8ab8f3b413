/** A guide below `docs/guides` as a shell script, so that a test can run its commands. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { ROOT } from "./child.ts";

/** The commands and files of a guide. */
export interface Guide {
  /** Files to save, by name. */
  readonly files: ReadonlyMap<string, string>;
  /** The blocks of commands in their order, without those after a comment `<!-- not run: … -->`. */
  readonly blocks: readonly string[];
}

/** Reads a guide by its name. */
export async function readGuide(name: string): Promise<Guide> {
  return parseGuide(await readFile(join(ROOT, "docs", "guides", `${name}.md`), "utf8"));
}

/** Finds the files and the commands in the text of a page. */
export function parseGuide(page: string): Guide {
  const files = [...page.matchAll(/[Ss]ave this as\s`([^`]+)`[^`]*(?:`[^`]+`[^`]*)*?\n```yaml\n([^]*?)```/g)];
  const blocks = [...page.matchAll(/(<!-- not run: [^]*?-->\s*)?^( *)```sh\n([^]*?)^ *```/gm)];
  return {
    files: new Map(files.map(([, file = "", text = ""]) => [file, text])),
    blocks: blocks.filter(([, isNotRun]) => isNotRun === undefined)
      // A block below a numbered step is indented.
      .map(([, , indent = "", block = ""]) => block.replaceAll(`\n${indent}`, "\n").slice(indent.length)),
  };
}

/**
 * Builds a bash script from the blocks. Servers, controllers and waiting `bootstrap` commands run in the background.
 * `NAME` becomes the name of the pending request, and a machine is approved once it has a request.
 */
export function toScript(blocks: readonly string[], port: number): string {
  const commands = blocks.join("\n").replaceAll("\\\n", " ").split("\n").map((line) =>
    toCommand(line.replace(/ {2,}# .*$/, ""))
  );
  return [PRELUDE, `PORT=${port}`, ...commands].join("\n");
}

const PRELUDE = `set -eo pipefail
up= boot=
declare -A controllers
# Repeats a command until it succeeds, for four minutes at most, unless the server ends.
eventually() {
  local end=$((SECONDS + 240))
  until eval "$1"; do
    if [ $SECONDS -ge $end ] || { [ -n "$up" ] && ! kill -0 $up 2> /dev/null; }; then
      { echo "not true in time: $1"; tail -n 20 ./*.log; } >&2
      exit 1
    fi
    sleep 0.2
  done
}
trap 'kill $up $boot "\${controllers[@]}" 2>/dev/null || true; wait' EXIT
# Replaces the running server, and waits until the new one is ready.
start_up() {
  if [ -n "$up" ]; then kill $up; wait $up || true; fi
  : > up.log # so that the output of the previous server does not match
  TLSBOOT_SECURE_PORT=$PORT "$@" >> up.log 2>&1 & up=$!
  eventually "grep -q 'tlsboot is up at' up.log"
}
# Replaces the running signer or approver, and waits until the new one leads.
start_controller() {
  local role=$2 log=$2.log
  if [ -n "\${controllers[$role]}" ]; then kill \${controllers[$role]}; wait \${controllers[$role]} || true; fi
  : > $log
  "$@" >> $log 2>&1 & controllers[$role]=$!
  eventually "grep -q leading $log"
}
# Prints the name of the pending request, once there is one.
pending() {
  local find="tlsboot get csr --pending --no-headers $* 2> /dev/null | awk 'NR == 1 { print \\$1 } END { exit NR == 0 }'"
  eventually "$find"
}
# Replaces the running page, and waits for the new link.
start_page() {
  if [ -n "\${controllers[ui]}" ]; then kill \${controllers[ui]}; wait \${controllers[ui]} || true; fi
  : > ui.log
  "$@" >> ui.log 2>&1 & controllers[ui]=$!
  eventually "grep -q '/login?key=' ui.log"
}
finish_boot() { if [ -n "$boot" ]; then wait $boot; boot=; fi; }`;

function toCommand(line: string): string {
  if (/^tlsboot up\b/.test(line)) return `start_up ${line}`;
  if (/^tlsboot ui\b/.test(line)) return `start_page ${line}`;
  if (/^tlsboot (?:signer|approver) --kubeconfig\b/.test(line)) return `start_controller ${line}`;
  if (/^tlsboot bootstrap\b/.test(line) && !/--print|--offline/.test(line)) return `${line} & boot=$!`;
  const machine = /^tlsboot (?:approve|describe csr) (?!NAME\b|-)\S+(.*)$/.exec(line);
  if (machine !== null) {
    return `pending${machine[1]} > /dev/null; ${line}${line.includes("approve") ? "; finish_boot" : ""}`;
  }
  const found = /^((?:tlsboot approve|tlsboot describe csr|kubectl certificate approve) )NAME\b(.*)$/.exec(line);
  if (found === null) return line;
  const [, words = "", flags = ""] = found;
  return `${words}$(pending${flags})${flags}${words.includes("approve") ? "; finish_boot" : ""}`;
}
