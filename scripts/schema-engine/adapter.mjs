/** Prisma's `pg` adapter, mended in the four places where migrations need more than queries do (version 7.10.0). */
import { PrismaPg } from '@prisma/adapter-pg';
import { ColumnTypeEnum, DriverAdapterError } from '@prisma/driver-adapter-utils';

/** Type of some columns of the system catalogs: a single byte. */
const charTypeId = 18;
const textTypeId = 25;

export class MigrationAdapterFactory extends PrismaPg {
  #config;
  #options;
  /** The last error of a script, as Postgres said it: `{ code, message }`. */
  lastScriptError;

  /** `config`: discrete connection fields as `pg` takes them. */
  constructor(config, options) {
    super(config, options);
    this.#config = config;
    this.#options = options;
  }

  async connect() {
    return mend(await super.connect(), (code, message) => {
      this.lastScriptError = { code, message };
    });
  }

  /** The stock one drops the database while its own pool still holds it, which fails and leaves the database behind. */
  async connectToShadowDb() {
    const main = await this.connect();
    const database = `prisma_migrate_shadow_db_${crypto.randomUUID()}`;
    await main.executeScript(`CREATE DATABASE "${database}"`);
    const shadow = await new MigrationAdapterFactory({ ...this.#config, database }, this.#options).connect();
    const closePool = shadow.dispose.bind(shadow);
    shadow.dispose = async () => {
      await closePool();
      await main.executeScript(`DROP DATABASE IF EXISTS "${database}" WITH (FORCE)`);
      await main.dispose();
    };
    return shadow;
  }
}

function mend(adapter, onScriptError) {
  const performIO = adapter.performIO.bind(adapter);
  const queryRaw = adapter.queryRaw.bind(adapter);

  /** The stock one knows no type "char" and fails on every look into the catalogs: it is read as text. */
  adapter.performIO = async (query) => {
    const result = await performIO(query);
    query.charColumns = [];
    result.fields?.forEach((field, index) => {
      if (field.dataTypeID !== charTypeId) return;
      field.dataTypeID = textTypeId;
      query.charColumns.push(index);
    });
    return result;
  };
  adapter.queryRaw = async (query) => {
    const result = await queryRaw(query);
    for (const index of query.charColumns) result.columnTypes[index] = ColumnTypeEnum.Character;
    return result;
  };

  /**
   * The stock one splits at semicolons, also inside comments, literals and function bodies; one simple query is one
   * transaction. The engine words errors by their code and forgets what Postgres said, so the code travels in the message.
   */
  adapter.executeScript = async (script) => {
    try {
      await adapter.underlyingDriver().query(script);
    } catch (error) {
      if (!error.severity) adapter.onError(error);
      onScriptError(error.code, located(error, script));
      const { code, severity, detail, column, hint } = error;
      const message = `${located(error, script)} (code ${code})`;
      throw new DriverAdapterError({ kind: 'postgres', code: 'N/A', severity, message, detail, column, hint });
    }
  };
  return adapter;
}

/** The message with the line of the script, where Postgres says where it was. */
function located(error, script) {
  if (!error.position) return error.message;
  return `${error.message} (line ${script.slice(0, Number(error.position)).split('\n').length})`;
}
