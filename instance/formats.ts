/**
 * The formats of the data that this build writes; an upgrade compares them to find out whether it can be undone. They
 * are not in `data_dir.ts`, because that must not load SQLite.
 */
import { FORMAT_VERSION } from "../server/storage/sqlite/check.ts";
import { DATA_FORMAT } from "./data_dir.ts";

/** The format of each kind of data (docs/decisions/0015-data-format.md). */
export const DATA_FORMATS = { dataDir: DATA_FORMAT, database: FORMAT_VERSION } as const;
