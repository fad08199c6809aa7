// Draws the reference from the service's own description.
window.SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#reference",
  deepLinking: true,
  validatorUrl: "none",
  defaultModelsExpandDepth: 0,
  requestSnippetsEnabled: true,
  // The access token stays in the page: it goes when the page does.
  persistAuthorization: false,
});
