/** kubectl's commands that touch CSRs, by theme. */
import { deciding, deleting } from "./deciding.ts";
import { asking, discovering, reading } from "./reading.ts";
import { changing, creating } from "./writing.ts";
import type { Theme } from "../theme.ts";

/** Every theme; the last one empties the collection. */
export const THEMES: readonly Theme[] = [creating, reading, deciding, changing, asking, discovering, deleting];
