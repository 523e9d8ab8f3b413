/** kubectl's commands that touch CSRs, by theme. */
import { deciding, deleting } from "./csr_deciding_commands.ts";
import { asking, discovering, reading } from "./csr_reading_commands.ts";
import { changing, creating } from "./csr_writing_commands.ts";
import type { Theme } from "./theme.ts";

/** Every theme; the last one empties the collection. */
export const THEMES: readonly Theme[] = [creating, reading, deciding, changing, asking, discovering, deleting];
