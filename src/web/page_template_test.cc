#include "web/page_template.h"

#include <string>

#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace countersign::web {
namespace {

TEST(PageTemplate, EscapesWhatItFillsIn) {
  const PageTemplate page("<a title=\"{{x}}\">{{x}}</a>");
  EXPECT_EQ(page.render({{"x", "<\"'&>"}}),
            "<a title=\"&lt;&quot;&#39;&amp;&gt;\">&lt;&quot;&#39;&amp;&gt;</a>");
}

TEST(PageTemplate, NoTextCanLeaveItsPlace) {
  const PageTemplate page("[{{x}}]");
  EXPECT_TRUE(rc::check("no markup character survives", [&page](const std::string& text) {
    const std::string out = page.render({{"x", text}});
    RC_ASSERT(out.find_first_of("<>\"'") == std::string::npos);
  }));
}

TEST(PageTemplate, DoesNotReadPlaceholdersInValues) {
  const PageTemplate page("{{a}}{{{b}}}");
  EXPECT_EQ(page.render({{"a", "{{b}}"}, {"b", "{{a}}<i>"}}), "{{b}}{{a}}<i>");
}

TEST(PageTemplate, ShowsSectionsByTheirValue) {
  const PageTemplate page("{{#a}}full {{a}}{{#b}}, both{{/b}}{{/a}}{{^a}}empty{{/a}}.");
  EXPECT_EQ(page.render({{"a", ""}, {"b", "1"}}), "empty.");
  EXPECT_EQ(page.render({{"a", "1"}, {"b", ""}}), "full 1.");
  EXPECT_EQ(page.render({{"a", "1"}, {"b", "1"}}), "full 1, both.");
}

TEST(PageTemplateDeathTest, AbortsOnOurOwnMistakes) {
  EXPECT_DEATH(PageTemplate("{{#a}}x"), "does not end");
  EXPECT_DEATH(PageTemplate("{{#a}}x{{/b}}"), "ends amiss");
  EXPECT_DEATH(PageTemplate("{{a}}").render({}), "no value for");
}

}  // namespace
}  // namespace countersign::web
