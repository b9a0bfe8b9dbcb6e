import { stripTypeScriptTypes } from 'node:module';
import { createHash } from 'node:crypto';

/** Jest transform: removes the types and keeps every line and column, so stack traces point at the source. */
export default {
  /** @param {string} source */
  process(source) {
    return { code: stripTypeScriptTypes(source, { mode: 'strip' }) };
  },
  /**
   * @param {string} source
   * @param {string} path
   */
  getCacheKey(source, path) {
    return createHash('sha256').update(process.version).update(path).update('\0').update(source).digest('hex');
  },
};
