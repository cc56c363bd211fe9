// @ts-check
/** The first calls of a newcomer, ready to be copied. No real key is ever in them. */
import { fill, h } from "../../dom.js";
import { plain } from "../../parts/code.js";
import { link } from "../../router.js";

const KEY = "sk_test_YOUR_KEY";

/** Three calls against the origin that this console came from. */
export function drawFirstCall(panel) {
  const at = location.origin;
  fill(
    panel,
    h(
      "div",
      { class: "card" },
      h("h2", "Your first call"),
      h("ol", { class: "steps" }, step1(), step2(at), step3(at), step4()),
    ),
  );
}

function step1() {
  return h(
    "li",
    h("h3", "Get a key"),
    h(
      "p",
      "Make one under ",
      link("/console/developers?tab=keys", "API keys"),
      " and put it where your shell finds it:",
    ),
    plain(`export CLEARTILL_KEY=${KEY}`, "Command that sets the key"),
  );
}

function step2(at) {
  const body = {
    amount: "99.99",
    currency: "USD",
    payment_method: "credit_card",
    card_data: {
      card_number: "4111111111111111",
      expiry_month: 12,
      expiry_year: new Date().getFullYear() + 3,
      cvv: "123",
      cardholder_name: "Ada Lovelace",
    },
    order_id: "order-1",
  };
  const command = [
    `curl ${at}/api/v1/payments/process \\`,
    '  -H "Authorization: Bearer $CLEARTILL_KEY" \\',
    '  -H "Idempotency-Key: order-1-try-1" \\',
    '  -H "Content-Type: application/json" \\',
    `  -d '${JSON.stringify(body, null, 2).replaceAll("\n", "\n  ")}'`,
  ].join("\n");
  return h(
    "li",
    h("h3", "Take a payment"),
    h(
      "p",
      "The answer is 201 with ",
      h("code", '"status": "captured"'),
      ". Sent again with the same Idempotency-Key, it is the same answer, and nothing is charged twice.",
    ),
    plain(command, "Command that takes a payment"),
  );
}

function step3(at) {
  const command = `curl ${at}/api/v1/payments?limit=3 \\\n  -H "Authorization: Bearer $CLEARTILL_KEY"`;
  return h(
    "li",
    h("h3", "Read it back"),
    h("p", "With its timeline it is also under ", link("/console/payments", "Payments"), "."),
    plain(command, "Command that lists payments"),
  );
}

function step4() {
  return h(
    "li",
    h("h3", "Hear of what happens"),
    h(
      "p",
      "Add a ",
      link("/console/developers?tab=webhooks", "webhook endpoint"),
      ", and see what other ",
      link("/console/developers?tab=cards", "test cards"),
      " make happen. Everything else is in the ",
      h("a", { href: "/docs" }, "API reference"),
      ".",
    ),
  );
}
