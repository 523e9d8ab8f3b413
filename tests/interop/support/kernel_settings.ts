/** The kernel's settings that a whole kubelet changes for the machine, put back afterwards. */
import { readFile, writeFile } from "node:fs/promises";

/** Files of what a kubelet sets when it starts (pkg/kubelet/cm, kernel tunables). */
export const KERNEL_SETTINGS: readonly string[] = [
  "vm/overcommit_memory",
  "vm/panic_on_oom",
  "kernel/panic",
  "kernel/panic_on_oops",
  "kernel/keys/root_maxkeys",
  "kernel/keys/root_maxbytes",
].map((name) => `/proc/sys/${name}`);

/** Remembers them; disposing writes back those that are different by then. */
export async function rememberKernelSettings(): Promise<AsyncDisposable> {
  const before = await Promise.all(KERNEL_SETTINGS.map(async (path) => ({ path, text: await readFile(path, "utf8") })));
  return {
    async [Symbol.asyncDispose]() {
      for (const { path, text } of before) {
        if (await readFile(path, "utf8") !== text) await writeFile(path, text);
      }
    },
  };
}
