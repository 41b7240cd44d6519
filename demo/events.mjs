// SPDX-License-Identifier: Apache-2.0
// Realistic events for the demo: campaigns, platforms, countries, user agents, prices, missing values,
// Unicode, and texts with quotes, commas and line breaks. The same seed gives the same events.

const HOUR_MS = 3600_000;

// SplitMix64, cut to 53 bits.
export function makeRandom(seed) {
  let state = BigInt(seed);
  const mask = (1n << 64n) - 1n;
  return () => {
    state = (state + 0x9e3779b97f4a7c15n) & mask;
    let mixed = state;
    mixed = ((mixed ^ (mixed >> 30n)) * 0xbf58476d1ce4e5b9n) & mask;
    mixed = ((mixed ^ (mixed >> 27n)) * 0x94d049bb133111ebn) & mask;
    return Number((mixed ^ (mixed >> 31n)) >> 11n) / 2 ** 53;
  };
}

const CAMPAIGNS = ["spring sale", "back to school", 'the "big" one', "a, b & c", "Été à Paris", "年末セール",
  "first line\nsecond line", "refer a friend 🎉", null];
const CHANNELS = ["email", "facebook", "google_search", "sms", "qr", null];
const COUNTRIES = [["US", "San José"], ["DE", "Köln"], ["BR", "São Paulo"], ["JP", "東京"], ["IN", "Mumbai"],
  ["TR", "İstanbul"]];
const PLATFORMS = [["IOS", "iPhone15,3", "17.4.1"], ["ANDROID", "Pixel 8", "14"], ["WEB", null, null]];
const AGENTS = [
  "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15",
  "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 Chrome/122.0.0.0 Mobile",
  "Mozilla/5.0 (X11; Linux x86_64; rv:123.0) Gecko/20100101 Firefox/123.0"];
const EVENT_NAMES = ["PURCHASE", "ADD_TO_CART", "VIEW_CART"];

function pick(random, items) {
  return items[Math.floor(random() * items.length)];
}

function makeClick(random, id, timestamp) {
  const [country, city] = pick(random, COUNTRIES);
  const [os, model, version] = pick(random, PLATFORMS);
  return {
    id: String(id), name: "CLICK", timestamp,
    last_attributed_touch_data_tilde_campaign: pick(random, CAMPAIGNS),
    last_attributed_touch_data_tilde_channel: pick(random, CHANNELS),
    user_data_geo_country_code: country, user_data_geo_city_en: city,
    user_data_os: os, user_data_model: model, user_data_os_version: version,
    user_data_user_agent: pick(random, AGENTS),
    deep_linked: random() < 0.4, first_event_for_user: random() < 0.1 ? true : null,
  };
}

function makeCommerce(random, id, timestamp) {
  const event = makeClick(random, id, timestamp);
  const revenue = Math.round(random() * 20000) / 100;
  return {
    ...event, name: pick(random, EVENT_NAMES), event_data_currency: "USD", event_data_revenue: revenue,
    event_data_revenue_in_usd: revenue, event_data_transaction_id: `tx-${id}`,
    content_items: [{ "$sku": `sku-${id % 97}`, "$price": revenue, "$quantity": 1 + (id % 3) }],
    custom_data: { note: random() < 0.1 ? 'said "hi",\r\nthen left' : "plain", cohort: String(id % 7) },
  };
}

// Events of the hours before `now`, more of them by day than by night, in order of time.
export function makeEvents({ seed, topic, count, now, hours }) {
  const random = makeRandom(seed);
  const make = topic === "eo_commerce_event" ? makeCommerce : makeClick;
  const events = [];
  for (let i = 0; i < count; i++) {
    const age = hours * HOUR_MS * random() ** 1.2;
    events.push(make(random, seed * 1_000_000 + i, Math.floor(now - age)));
  }
  return events.sort((a, b) => a.timestamp - b.timestamp);
}
