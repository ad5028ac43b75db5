#pragma once

#include <string_view>

/// The files of web/, and the chart library, as the build has compiled them in (tools/embed_files.py).
namespace flatfield::report::assets {

extern const std::string_view kPageHead;  ///< what all pages begin with
extern const std::string_view kTileReportPage;
extern const std::string_view kTileReportScript;
extern const std::string_view kBatchIndexPage;
extern const std::string_view kBatchIndexScript;
extern const std::string_view kCommonScript;
extern const std::string_view kStyle;
extern const std::string_view kChartLibrary;  ///< "" where it could not be fetched
extern const std::string_view kChartStyle;

}  // namespace flatfield::report::assets
