/** As much of XML as descriptions of DASH need: elements, attributes and text. What others could do with it is refused. */

export interface XmlElement {
  /** Without its prefix. */
  name: string;
  attributes: Record<string, string>;
  children: XmlElement[];
  /** Its own, with those of its children left out. */
  text: string;
}

const deepest = 32;
const token =
  /<!--[\s\S]*?-->|<\?[\s\S]*?\?>|<!\[CDATA\[([\s\S]*?)\]\]>|<(\/?)([\w.:-]+)((?:\s+[\w.:-]+\s*=\s*(?:"[^"<]*"|'[^'<]*'))*)\s*(\/?)>|([^<]+)/gy;
const attribute = /([\w.:-]+)\s*=\s*(?:"([^"]*)"|'([^']*)')/g;
const entities: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

/** The root element. Throws an Error for what is no XML, and for what declares entities of its own. */
export function parseXml(text: string): XmlElement {
  const root: XmlElement = { name: '', attributes: {}, children: [], text: '' };
  const open = [root];
  const whole = text.replace(/^\ufeff/, '');
  token.lastIndex = 0;
  while (token.lastIndex < whole.length) {
    const at = token.lastIndex;
    const found = token.exec(whole);
    if (!found) throw new Error(`It is no XML that can be read, at "${whole.slice(at, at + 40)}".`);
    const [, cdata, closing, name, attributes, empty, plain] = found;
    const parent = open.at(-1) as XmlElement;
    if (cdata !== undefined) parent.text += cdata;
    else if (plain !== undefined) parent.text += decode(plain);
    else if (closing === '/') {
      if (open.length === 1 || parent.name !== local(name as string)) throw new Error(`"</${name}>" closes nothing.`);
      open.pop();
    } else if (name !== undefined) {
      const element = { name: local(name), attributes: attributesOf(attributes ?? ''), children: [], text: '' };
      parent.children.push(element);
      if (empty !== '/') open.push(element);
      if (open.length > deepest) throw new Error('It is nested too deeply.');
    }
  }
  const [only] = root.children;
  if (open.length > 1 || !only) throw new Error('It is no XML that can be read: it ends too early.');
  return only;
}

export const childrenOf = (element: XmlElement, name: string): XmlElement[] =>
  element.children.filter((child) => child.name === name);

export const childOf = (element: XmlElement, name: string): XmlElement | null => childrenOf(element, name)[0] ?? null;

const local = (name: string): string => name.slice(name.indexOf(':') + 1);

function attributesOf(text: string): Record<string, string> {
  const found = [...text.matchAll(attribute)].map(([, name, double, single]) => [name, decode(double ?? single ?? '')]);
  return Object.fromEntries(found) as Record<string, string>;
}

function decode(text: string): string {
  return text.replace(/&(?:#x([0-9a-f]{1,6})|#(\d{1,7})|(\w+));/gi, (whole, hex, decimal, name) => {
    if (name !== undefined) return entities[name] ?? whole;
    const code = hex === undefined ? Number(decimal) : Number.parseInt(hex, 16);
    return code <= 0x10ffff ? String.fromCodePoint(code) : whole;
  });
}
