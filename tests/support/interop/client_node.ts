/** The npm package @kubernetes/client-node as a user has it: a program of its own, on Node 24, beside its packages. */
import { join } from "node:path";
import { ensureNode } from "../../../scripts/build/node_runtime.ts";
import { npmPeerPath } from "../peers/npm.ts";
import { succeedProgram } from "../child.ts";

/** The results of the program, by step; peers/client-node/story.mjs describes the steps. */
export type Story = Readonly<Record<string, unknown>>;

/** The step that reviews its own identity. */
export const WHO = "self review";

/** Runs it to its end with a kubeconfig and a PKCS#10 request (base64 of PEM). */
export async function tellStory(kubeconfig: string, request: string): Promise<Story> {
  const { stdout } = await succeedProgram(await ensureNode(), [
    ...[join(npmPeerPath("client-node"), "story.mjs"), kubeconfig, request],
  ]);
  return JSON.parse(stdout) as Story;
}

/** Returns the story without the names of the servers. */
export function withoutWho(story: Story): Story {
  return Object.fromEntries(Object.entries(story).filter(([step]) => step !== WHO));
}
