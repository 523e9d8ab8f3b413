/**
 * The formats of the data that this build writes, by which an upgrade knows whether there is a way back. They are apart from
 * `data_dir.ts`, which must not load SQLite.
 */
import { FORMAT_VERSION } from "../server/storage/sqlite/check.ts";
import { DATA_FORMAT } from "./data_dir.ts";

/** The format of each kind of data (docs/decisions/0015-data-format.md). */
export const DATA_FORMATS = { dataDir: DATA_FORMAT, database: FORMAT_VERSION } as const;
